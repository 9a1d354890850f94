"""`synoptic library annotations-lint`: what is probably wrong with labels, before training on them."""

import json
from pathlib import Path
from typing import Annotated

import typer

LINT_EXAMPLE = "Example: synoptic library annotations-lint task.zip --images micrographs/"


def annotations_lint(
    file: Annotated[Path, typer.Argument(help="CVAT for images 1.1 (XML or zip), VIA 2 or COCO JSON.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the images; VIA needs it.")
    ] = None,
    label_attribute: Annotated[
        str | None, typer.Option(help="Attribute of VIA regions that holds the label, if there are several.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report labels that look wrong: sizes, holes, crossings, occlusions, what is unlabelled or unused.

    Findings are advice, so the exit code is 0; a file that cannot be read is refused with exit code 1.
    """
    from model_library.annotations import image_sizes, lint_annotations, read_annotations

    read = read_annotations(file, images, label_attribute=label_attribute)
    found = lint_annotations(read.images, read.labels, None if images is None else image_sizes(images))
    shapes = sum(len(image.annotations) for image in read.images)
    if as_json:
        told = {"file": str(file), "images": len(read.images), "shapes": shapes, "labels": read.labels}
        findings = [finding.model_dump(mode="json") for finding in found]
        typer.echo(json.dumps({**told, "findings": findings}, indent=2))
        return
    for finding in found:
        typer.echo(str(finding))
    typer.echo(f"{len(found)} findings in {len(read.images)} images with {shapes} shapes.")
