"""`synoptic library inspect`: what the readers see in files of any microscope."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_library.errors import ImageError

if TYPE_CHECKING:
    from model_library.images.recording import Recording


def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images, or OME-Zarr folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell axes, dtype, pixel size, field and data bar of images; exit code 1 where any was refused."""
    found = [_inspected(path) for path in files]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo("\n".join(line for row in found for line in _lines(row)))
    if any(row["refused"] for row in found):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command to a group."""
    app.command(epilog="Example: synoptic library inspect scan.dm4 stack.mrc --json")(inspect)


def _inspected(path: Path) -> dict[str, Any]:
    from model_library.images.contents import read_contents

    try:
        contents = read_contents(path)
    except (ImageError, OSError) as refusal:
        return {"file": str(path), "format": None, "recordings": [], "left_out": [], "refused": str(refusal)}
    return {
        "file": str(path),
        "format": contents.format,
        "recordings": [_row(recording) for recording in contents.recordings],
        "left_out": list(contents.left_out),
        "refused": None,
    }


def _row(recording: "Recording") -> dict[str, Any]:
    from model_library.images.data_bar import bar_rows

    size = recording.pixel_size
    return {
        "name": recording.name,
        "axes": recording.axes,
        "shape": list(recording.pixels.shape),
        "dtype": recording.pixels.dtype.name,
        "pixel_size_nm": {"y": size.y_nm, "x": size.x_nm, "z": size.z_nm},
        "field": recording.field,
        "lossy": recording.lossy,
        "data_bar_rows": bar_rows(recording),
        "metadata": recording.metadata,
    }


def _lines(row: dict[str, Any]) -> list[str]:
    if row["refused"]:
        return [f"{row['file']}: refused: {row['refused']}"]
    lines = [f"{row['file']}: {row['format']}"]
    for number, recording in enumerate(row["recordings"]):
        sizes = recording["pixel_size_nm"]
        told = ", ".join(f"{axis} {value:.6g} nm" for axis, value in sizes.items() if value is not None)
        notes = [
            f"{recording['axes']} {' x '.join(map(str, recording['shape']))} {recording['dtype']}",
            f"pixel {told or 'size unknown'}",
            *([f"field {recording['field']}"] if recording["field"] else []),
            *([f"data bar of {recording['data_bar_rows']} rows"] if recording["data_bar_rows"] else []),
            *(["lossy"] if recording["lossy"] else []),
        ]
        lines.append(f"  {number}: " + "; ".join(notes))
    return lines + [f"  left out: {reason}" for reason in row["left_out"]]
