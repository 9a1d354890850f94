"""`synoptic benchmark`: scores of networks against classical algorithms."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark import judging_cli, own_frames_cli, selection_cli
from benchmark.contributed import add_contributed
from benchmark.inference import cli as inference_cli
from benchmark.metric_speed import cli as metric_speed_cli
from benchmark.options import (
    CropOption,
    DataOption,
    JsonOption,
    LibraryOption,
    NoiseOption,
    PageOption,
    SeedOption,
    TaskName,
    TruthOption,
    degrading,
)
from benchmark.planted import cli as planted_cli
from benchmark.real import cards_cli
from benchmark.speedup import cli as speedup_cli
from benchmark.trust import cli as trust_cli

app = typer.Typer(
    no_args_is_help=True,
    help="Score networks against classical algorithms.",
    epilog="Example: synoptic benchmark card unet-denoise-shot",
)


class SuiteName(StrEnum):
    """Suites that ship."""

    REAL = "real"


CasesOption = Annotated[list[str] | None, typer.Option(help="Suite: run only this case (repeatable).")]
WorkOption = Annotated[
    Path | None, typer.Option(file_okay=False, help="Suite: keep finished cases here, and go on there.")
]
MakeOption = Annotated[
    list[str] | None,
    typer.Option(help="Suite: recipe of a network that does not ship, made in --work first (repeatable)."),
]
TuneOption = Annotated[
    int, typer.Option(min=0, help="Suite: also fine-tune so many networks per case on its tuning images.")
]
SelfEnsembleOption = Annotated[
    bool, typer.Option("--self-ensemble", help="Suite: networks average over eight turned images.")
]


@app.command(epilog="Example: synoptic benchmark card unet-denoise-shot --images 24 --json")
def card(
    network_id: Annotated[str, typer.Argument(metavar="ID", help="A network of the library.")],
    images: Annotated[int, typer.Option(min=2, help="Held-out specimens to score on.")] = 24,
    write: Annotated[bool, typer.Option("--write", help="Put the scores on the card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    library: LibraryOption = None,
    data: DataOption = None,
) -> None:
    """Measure the scores on a network's card: held-out specimens, best tuned classical algorithm beside it.

    Exit code 1 if the network, its recipe or its result is refused.
    """
    from benchmark.card_scores import measure
    from benchmark.errors import BenchmarkError
    from benchmark.folder_run import echo_rows
    from benchmark.real.cards import from_suite
    from model_library.zoo.registry import Library
    from model_library.zoo.store import save_scores

    shelf = Library(library)
    scores, found = measure(shelf, network_id, images, data=data)
    if not scores:
        why = "; ".join(found.failures.values()) or "no finite score"
        raise BenchmarkError(f"expected a score of {network_id} on every specimen, found {why}")
    if write:
        kept = tuple(score for score in shelf.card(network_id).scores if from_suite(score))
        save_scores(shelf.path(network_id), (*scores, *kept))
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
    echo_rows(found)


@app.command(
    epilog="Example: synoptic benchmark run --images micrographs/ --noise-sigma 0.1 --report report.html;"
    " synoptic benchmark run --suite real --data DIR --work work/ --json real.json"
)
def run(
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of TIFF, PNG or JPEG.")
    ] = None,
    suite: Annotated[
        SuiteName | None, typer.Option(help="Instead of a folder: the suite of real micrographs.")
    ] = None,
    task: Annotated[TaskName, typer.Option(help="What the methods are to do.")] = TaskName.DENOISE,
    noise_sigma: NoiseOption = None,
    truth: TruthOption = None,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            help="Library id, network folder or bioimage.io .zip (repeatable); default: all for the task."
        ),
    ] = None,
    library: LibraryOption = None,
    crop_px: CropOption = 384,
    at_most: Annotated[int | None, typer.Option(min=2, help="Read only the first files.")] = None,
    data: DataOption = None,
    cases: CasesOption = None,
    work: WorkOption = None,
    make: MakeOption = None,
    tune: TuneOption = 0,
    tune_steps: Annotated[int, typer.Option(min=1, help="Suite: training steps of --tune.")] = 300,
    self_ensemble: SelfEnsembleOption = False,
    seed: SeedOption = 0,
    json_file: JsonOption = None,
    report_file: PageOption = None,
) -> None:
    """Score networks and tuned classical algorithms on micrographs.

    Fields of view (stage labels, else files) are parted: classical algorithms are tuned on some,
    everything is scored on the others. Without --truth and --noise-sigma the images of a folder are
    taken as acquired and methods are judged without truth. `--suite real` runs the cases of
    docs/benchmarks.md instead; no network is scored on an image that its training saw. Exit code 1 if
    the images do not suffice.
    """
    if (images is None) == (suite is None):
        raise typer.BadParameter("give --images or --suite, and not both")
    if images is not None:
        from benchmark.folder_run import FolderRun, run_folder

        how, ids = degrading(truth, noise_sigma), tuple(networks or ())
        run_folder(
            FolderRun(images, task.task, how, ids, library, crop_px, at_most, seed), json_file, report_file
        )
        return
    from benchmark.real.command import SuiteRun, run_real
    from benchmark.real.tuned import TuneConfig

    asked = SuiteRun(
        data=data,
        library=library,
        networks=tuple(networks or ()),
        cases=tuple(cases or ()),
        work=work,
        tune=TuneConfig(networks=tune, steps=tune_steps, seed=seed) if tune else None,
        self_ensemble=self_ensemble,
        seed=seed,
        make=tuple(make or ()),
    )
    run_real(asked, json_file, report_file)


@app.command(epilog="Example: synoptic benchmark resolution first.tif second.tif")
def resolution(
    first: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A micrograph as acquired.")],
    second: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A second acquisition of the same place."),
    ] = None,
    half_bit: Annotated[
        bool, typer.Option("--half-bit", help="With two: the half-bit threshold instead of 1/7.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the resolution of an acquisition by Fourier ring correlation.

    Exit code 1 if the images are too small or do not fit each other.
    """
    from benchmark.resolving import resolve

    found = resolve(first, second, by_half_bit=half_bit)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    metric = f" = {found.period_nm:.2f} nm" if found.period_nm is not None else ""
    typer.echo(f"{found.period_px:.2f} px{metric} ({found.how})")


for module in (
    selection_cli,
    trust_cli,
    judging_cli,
    own_frames_cli,
    cards_cli,
    planted_cli,
    speedup_cli,
    inference_cli,
    metric_speed_cli,
):
    module.register(app)
add_contributed(app)
