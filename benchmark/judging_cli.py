"""`synoptic benchmark gate|compare|report`: their words."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.options import (
    NAMED_METHOD,
    CropOption,
    ImagesOption,
    JsonOption,
    LabelsOption,
    LibraryOption,
    MostOption,
    NoiseOption,
    PageOption,
    SeedOption,
    StrictOption,
    TaskOption,
    TruthOption,
    degrading,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the group `benchmark`."""
    app.command(
        epilog="Example: synoptic benchmark gate --candidate tuned/ --incumbent unet-denoise-shot"
        " --images scans/ --json gate.json --report gate.html --strict"
    )(gate)
    app.command(epilog="Example: synoptic benchmark compare unet-denoise-shot package.zip --images scans/")(
        compare
    )
    app.command(epilog="Example: synoptic benchmark report compare.json gate.json --out report.html")(report)


def gate(
    candidate: Annotated[str, typer.Option(help=f"What asks for release: {NAMED_METHOD}.")],
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
    a: Annotated[str, typer.Argument(metavar="A", help=f"A method: {NAMED_METHOD}.")],
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
