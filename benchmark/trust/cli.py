"""`synoptic benchmark trust|gate|compare|report|training-statistics`: their words."""

import json
from pathlib import Path
from typing import Annotated

import typer

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

_METHOD = "library id, network folder, bioimage.io .zip or classical algorithm"
ImagesOption = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="TIFF, PNG or JPEG; or one sub-folder per site.")
]
LabelsOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="CVAT, VIA or COCO file, for segmentation.")
]
TaskOption = Annotated[
    TaskName | None, typer.Option(help="Only where no network is named; else it is the network's.")
]
MostOption = Annotated[int | None, typer.Option(min=1, help="Read only the first files (of each site).")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 unless the answer is yes.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group `benchmark`."""
    app.command(
        epilog="Example: synoptic benchmark trust --network unet-denoise-shot --images scans/ --report t.html"
    )(trust)
    app.command(
        epilog="Example: synoptic benchmark gate --candidate tuned/ --incumbent unet-denoise-shot"
        " --images scans/ --json gate.json --report gate.html --strict"
    )(gate)
    app.command(epilog="Example: synoptic benchmark compare unet-denoise-shot package.zip --images scans/")(
        compare
    )
    app.command(epilog="Example: synoptic benchmark report compare.json gate.json --out report.html")(report)
    app.command(epilog="Example: synoptic benchmark training-statistics unet-denoise-shot --write")(
        training_statistics
    )


def trust(
    network: Annotated[str, typer.Option(help=f"What to check: {_METHOD}.")],
    images: ImagesOption,
    truth: TruthOption = None,
    task: TaskOption = None,
    library: LibraryOption = None,
    maps: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Write the half width of the 95 % interval of each image."),
    ] = None,
    at_most: MostOption = None,
    seed: SeedOption = 0,
    json_file: JsonOption = None,
    report_file: PageOption = None,
    strict: StrictOption = False,
) -> None:
    """Check whether a method can be trusted on images of one instrument; each check has a stated limit.

    Exit code 0 whatever the checks say (the JSON's `holds` tells), with `--strict` 1 if one fails;
    1 if network or images are refused.
    """
    from benchmark.trust.command import TrustRun, run_trust

    chosen = None if task is None else task.task
    asked = TrustRun(network, images, library, truth, chosen, maps, at_most, seed)
    if not run_trust(asked, json_file, report_file) and strict:
        raise typer.Exit(1)


def gate(
    candidate: Annotated[str, typer.Option(help=f"What asks for release: {_METHOD}.")],
    images: ImagesOption,
    incumbent: Annotated[str | None, typer.Option(help="What is in service, named in the same way.")] = None,
    truth: TruthOption = None,
    noise_sigma: NoiseOption = None,
    labels: LabelsOption = None,
    task: TaskOption = None,
    look: Annotated[
        int, typer.Option(min=1, help="Which look at these images this is; later ones ask more.")
    ] = 1,
    site_margin: Annotated[
        float | None, typer.Option(min=0.0, help="What a site may lose; default 0.1 dB, or 0.01.")
    ] = None,
    library: LibraryOption = None,
    crop_px: CropOption = 384,
    at_most: MostOption = None,
    seed: SeedOption = 0,
    json_file: JsonOption = None,
    report_file: PageOption = None,
    strict: StrictOption = False,
) -> None:
    """Judge a candidate against what is in service and the best tuned classical algorithm.

    Exit code 0 whatever the verdict (the JSON's `passed` tells), with `--strict` 1 if it is not passed;
    1 if a method or the images are refused.
    """
    from benchmark.gate_run import GateRun, run_gate
    from benchmark.sites import Asked

    asked = Asked(images, degrading(truth, noise_sigma), labels, crop_px, at_most, seed)
    chosen = None if task is None else task.task
    run = GateRun(candidate, incumbent, asked, library, chosen, look, site_margin)
    if not run_gate(run, json_file, report_file).passed and strict:
        raise typer.Exit(1)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=f"A method: {_METHOD}.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    images: ImagesOption,
    truth: TruthOption = None,
    noise_sigma: NoiseOption = None,
    labels: LabelsOption = None,
    task: TaskOption = None,
    library: LibraryOption = None,
    crop_px: CropOption = 384,
    at_most: MostOption = None,
    seed: SeedOption = 0,
    json_file: JsonOption = None,
    report_file: PageOption = None,
) -> None:
    """Compare two methods by a paired bootstrap over fields of view, at every site and pooled.

    Exit code 1 if a method or the images are refused.
    """
    from benchmark.comparing import CompareRun, run_compare
    from benchmark.sites import Asked

    asked = Asked(images, degrading(truth, noise_sigma), labels, crop_px, at_most, seed)
    run_compare(CompareRun(a, b, asked, library, None if task is None else task.task), json_file, report_file)


def report(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="JSON of run, compare, gate, select, trust."),
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Draw pictures from these images.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Their truth, if it moved since."),
    ] = None,
    library: LibraryOption = None,
    json_file: JsonOption = None,
) -> None:
    """Write one page with tables, plots and pictures from the JSON that other commands wrote.

    Exit code 1 if a file is none of theirs.
    """
    from benchmark.report_page import ReportRun, run_report
    from benchmark.report_pictures import Sought

    run_report(ReportRun(tuple(files), Sought(images, truth, library)), out, json_file)
    typer.echo(f"{len(files)} results written to {out}")


def training_statistics(
    networks: Annotated[list[str], typer.Argument(metavar="ID...", help="Networks with a recipe.")],
    data: DataOption = None,
    write: Annotated[bool, typer.Option("--write", help="Keep them beside the card.")] = False,
    library: LibraryOption = None,
    json_file: JsonOption = None,
) -> None:
    """Measure what a network learned from, so that `trust` can tell images unlike it.

    Exit code 1 if a network, its recipe or its micrographs are missing.
    """
    from benchmark.trust.learned_from import statistics_of, write_statistics
    from model_library.zoo.recipe import read_recipe, recipe_path
    from model_library.zoo.registry import Library

    shelf, found = Library(library), []
    for network in networks:
        statistics = statistics_of(shelf.card(network), read_recipe(recipe_path(network)), data)
        if write:
            write_statistics(shelf.path(network), statistics)
        found.append(statistics.model_dump(mode="json"))
        typer.echo(f"{network}: {statistics.source}")
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
