"""`synoptic coordinator annotations`: labels in, images out to CVAT, beside a running server."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.look import Look

if TYPE_CHECKING:
    from coordinator.annotation.labels import Archive
    from coordinator.workplace import Workplace

app = typer.Typer(
    help="Take in labels of images from CVAT, VIA or COCO; give images out to CVAT.", no_args_is_help=True
)

Data = Annotated[Path, typer.Option("--data", help="Folder of the coordinator.")]
Who = Annotated[str, typer.Option("--instrument", help="Id of the instrument, or name of its site.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(
    "import",
    epilog="Example: synoptic coordinator annotations import labels.xml --data /srv/synoptic"
    " --instrument tissue",
)
def import_command(
    file: Annotated[Path, typer.Argument(help="CVAT for images 1.1 (XML or zip), VIA 2 or COCO JSON.")],
    data: Data,
    instrument: Who,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="Every class was looked for on every image: what is not drawn is background."
        ),
    ] = False,
    line_width_px: Annotated[float, typer.Option(min=0.1, help="Of polylines without width_px.")] = 1.0,
    label_attribute: Annotated[
        str | None, typer.Option(help="Attribute of VIA regions that holds the label, if there are several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in the labels of images that an instrument sent; all of the file, or nothing."""
    from coordinator.annotation.labels import ImportOptions, count, find_instrument, import_labels

    options = ImportOptions(complete, line_width_px, label_attribute)
    with _archive(data) as archive:
        who = find_instrument(archive.identities, instrument)
        done = import_labels(archive, who, file, time.time(), options)
        labelled = count(archive, who.id)
    if as_json:
        told = {"instrument": who.id, "images": done.images, "shapes": done.shapes, "left_out": done.left_out}
        typer.echo(json.dumps({**told, "labelled_first_images": labelled}))
        return
    typer.echo(
        f"{done.images} images with {done.shapes} shapes imported for {who.id}; {done.left_out} without "
        f"shapes left out; {labelled} of its first images have labels now."
    )


@app.command(
    "export",
    epilog="Example: synoptic coordinator annotations export --data /srv/synoptic --instrument tissue"
    " --out task.zip",
)
def export_command(
    data: Data,
    instrument: Who,
    out: Annotated[Path, typer.Option(help="The zip file to write.")],
    most: Annotated[int | None, typer.Option(min=1, help="How many images at most.")] = None,
    predict: Annotated[
        bool,
        typer.Option(
            "--predict", help="Add what the library's most plausible network finds, to correct in CVAT."
        ),
    ] = False,
    structure: Annotated[
        Look | None,
        typer.Option(help="With --predict: is what you mean brighter or darker than what surrounds it?"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the images of an instrument that have no labels as a task for CVAT."""
    from coordinator.annotation.cvat import export_task
    from coordinator.annotation.labels import find_instrument

    if structure is not None and not predict:
        raise typer.BadParameter("expected --structure with --predict only; add --predict, or leave it out")
    told: dict[str, Any] = {}
    if predict:
        from coordinator.annotation.preferring import export_predicted

        with _place(data) as place:
            who = find_instrument(place.identities, instrument)
            images, preferred = export_predicted(place, who, out, most, look=structure)
            told = {"network": preferred.method.ref.id, "plausibility": preferred.plausibility}
            told |= {"left_out": preferred.left_out, "structure": structure}
    else:
        with _archive(data) as archive:
            who = find_instrument(archive.identities, instrument)
            images = export_task(archive, who, out, most)
    if as_json:
        typer.echo(json.dumps({"instrument": who.id, "images": images, "file": str(out), **told}))
        return
    typer.echo(
        f"{images} images of {who.id} are in {out}. In CVAT, make a task of its folder images/, draw, export "
        "it as `CVAT for images 1.1`, and import that file."
    )
    if predict:
        meant = "" if structure is None else f" as something {structure}"
        ranked = ", ".join(f"{key} {value:.3f}" for key, value in told["plausibility"].items())
        typer.echo(
            f"What {told['network']} finds is in it as predictions.xml: upload that as annotations of the "
            "task (`CVAT 1.1`), correct every image, then export. Chosen without labels, by plausibility"
            f"{meant}: {ranked}."
        )


@contextlib.contextmanager
def _place(data: Path) -> "Iterator[Workplace]":
    """Open all that the coordinator works with, beside a server that may be running."""
    from coordinator.annotation.archive import open_database
    from coordinator.services import open_place
    from coordinator.settings import read_settings

    settings = read_settings(data)
    with open_database(settings) as database:
        yield open_place(settings, database, time.time)


@contextlib.contextmanager
def _archive(data: Path) -> "Iterator[Archive]":
    """Open the database beside a server that may be running."""
    from coordinator.annotation.archive import open_archive
    from coordinator.settings import read_settings

    with open_archive(read_settings(data)) as archive:
        yield archive
