"""`synoptic benchmark`: scores of networks against classical algorithms."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.assessment import Assessment
    from benchmark.cases import Case
    from benchmark.method import Method
    from benchmark.metrics import Metric
    from benchmark.micrographs import Mode
    from model_library.wire.tasks import Task

app = typer.Typer(
    no_args_is_help=True,
    help="Score networks against classical algorithms.",
    epilog="Example: synoptic benchmark card unet-denoise-shot",
)


class TaskName(StrEnum):
    """Tasks that a folder of micrographs can be scored on."""

    DENOISE = "denoise"
    SUPER_RESOLVE_X2 = "super-resolve-x2"
    SUPER_RESOLVE_X4 = "super-resolve-x4"

    @property
    def task(self) -> "Task":
        """The task of this name."""
        from model_library.wire.tasks import Denoise, SuperResolve

        match self:
            case TaskName.DENOISE:
                return Denoise()
            case TaskName.SUPER_RESOLVE_X2:
                return SuperResolve(scale=2)
            case TaskName.SUPER_RESOLVE_X4:
                return SuperResolve(scale=4)


LibraryOption = Annotated[
    Path | None, typer.Option("--library", help="Another library than the one that ships.")
]


@app.command(epilog="Example: synoptic benchmark card unet-denoise-shot --images 24 --json")
def card(
    network_id: Annotated[str, typer.Argument(metavar="ID", help="A network of the library.")],
    images: Annotated[int, typer.Option(min=2, help="Held-out specimens to score on.")] = 24,
    write: Annotated[bool, typer.Option("--write", help="Put the scores on the card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    library: LibraryOption = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of micrographs, where a recipe holds some out.")
    ] = None,
) -> None:
    """Measure the scores on a network's card: held-out specimens, best tuned classical algorithm beside it.

    Exit code 1 if the network, its recipe or its result is refused.
    """
    from benchmark.card_scores import measure
    from benchmark.errors import BenchmarkError
    from model_library.zoo.registry import Library
    from model_library.zoo.store import save_scores

    shelf = Library(library)
    scores, found = measure(shelf, network_id, images, data=data)
    if not scores:
        why = "; ".join(found.failures.values()) or "no finite score"
        raise BenchmarkError(f"expected a score of {network_id} on every specimen, found {why}")
    if write:
        save_scores(shelf.path(network_id), scores)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "id": network_id,
                    "written": write,
                    "scores": [score.model_dump(mode="json") for score in scores],
                    "assessment": found.model_dump(mode="json"),
                },
                indent=2,
            )
        )
        return
    for score in scores:
        low, high = score.ci95
        typer.echo(f"{score.metric:12} {score.value:8.3f}  [{low:.3f}, {high:.3f}]  {score.fields} specimens")
    _echo_rows(found)


@app.command(
    epilog="Example: synoptic benchmark run --images micrographs/ --noise-sigma 0.1 --report report.html"
)
def run(
    images: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of TIFF, PNG or JPEG.")],
    task: Annotated[TaskName, typer.Option(help="What the methods are to do.")] = TaskName.DENOISE,
    noise_sigma: Annotated[
        float | None,
        typer.Option(min=0.0, help="The images are clean: add noise, as a share of their 1-99 % range."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Noise-free images of the same names.")
    ] = None,
    networks: Annotated[
        list[str] | None, typer.Option(help="Network to score (repeatable); default: all for the task.")
    ] = None,
    library: LibraryOption = None,
    crop_px: Annotated[
        int, typer.Option(min=64, help="Side of the crop that is scored, at full size.")
    ] = 384,
    at_most: Annotated[int | None, typer.Option(min=2, help="Read only the first files.")] = None,
    seed: Annotated[int, typer.Option(help="Places crops, draws noise and resamples.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots and pictures.")] = None,
) -> None:
    """Score networks and tuned classical algorithms on a folder of micrographs.

    Fields of view (stage labels, else files) are parted: classical algorithms are tuned on some,
    everything is scored on the others. Without --truth and --noise-sigma the images are taken as
    acquired and methods are judged without truth. Exit code 1 if the images do not suffice.
    """
    import numpy as np

    from benchmark.assessment import assess
    from benchmark.micrographs import Degrading, cases_of, read_folder, split_cases

    if truth is not None and noise_sigma is not None:
        raise typer.BadParameter("give --truth or --noise-sigma, not both")
    how, wanted = Degrading(truth, noise_sigma), task.task
    folder = read_folder(images, at_most=at_most)
    rng = np.random.default_rng(seed)
    tuning, scored = split_cases(cases_of(folder.images, how, scale=wanted.scale, crop_px=crop_px, rng=rng))
    methods = _networks(wanted, networks, library)
    found = assess(methods, wanted, tuning, scored, metrics=_metrics(scored), seed=seed)
    if json_file is not None:
        content = {"mode": how.mode, "refused": folder.refused, **found.model_dump(mode="json")}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if report is not None:
        _write_report(report, found, how.mode, scored, methods)
    _echo_rows(found)
    for name, why in folder.refused.items():
        typer.echo(f"left out {name}: {why}", err=True)


def _networks(task: "Task", ids: list[str] | None, folder: Path | None) -> list["Method"]:
    from benchmark.errors import BenchmarkError
    from benchmark.networks import as_method
    from model_library.zoo.registry import Library

    library = Library(folder)
    eligible = {card.id for card in library.for_task(task)}
    for network_id in ids or ():
        if network_id not in eligible:
            library.path(network_id)
            raise BenchmarkError(
                f"expected networks for the task, {', '.join(sorted(eligible)) or 'none of which exist'},"
                f" found {network_id}; see `synoptic library list`"
            )
    return [as_method(library.load(network_id)) for network_id in ids or sorted(eligible)]


def _metrics(cases: "tuple[Case, ...]") -> "tuple[Metric, ...]":
    from benchmark.cases import Truth
    from benchmark.metrics import Metric

    if isinstance(cases[0].reference, Truth):
        return (Metric.PSNR, Metric.PSNR_AFFINE, Metric.SSIM, Metric.NRMSE)
    return (Metric.PSNR_REPEAT,)


def _write_report(
    path: Path, found: "Assessment", mode: "Mode", cases: "tuple[Case, ...]", networks: "list[Method]"
) -> None:
    from benchmark.baselines import classical
    from benchmark.report import write_page
    from benchmark.run_page import run_page
    from benchmark.scores import method_key
    from model_library.wire.methods import ClassicalRef

    leading = [row for row in found.rows if row.metric is found.rows[0].metric]
    best = next(row.ref for row in leading if row.method == found.best_classical)
    assert isinstance(best, ClassicalRef)
    shown: list[Method] = [classical(best, found.task)]
    ahead = [row.method for row in leading if row.ref.kind == "network" and row.value is not None]
    shown += [method for method in networks if method_key(method.ref) in ahead[:1]]
    write_page(path, run_page(found, mode, cases[0], shown))


def _echo_rows(found: "Assessment") -> None:
    for row in found.rows:
        places = row.metric.decimals
        value = f"{row.value:.{places}f}" if row.value is not None else "none"
        span = f"[{row.ci95[0]:.{places}f}, {row.ci95[1]:.{places}f}]" if row.ci95 else ""
        best = "  best classical" if row.method == found.best_classical else ""
        typer.echo(f"{row.method:32} {row.metric:12} {value:>9} {span:20} n={row.n}{best}")
