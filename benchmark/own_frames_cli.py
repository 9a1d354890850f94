"""`synoptic benchmark own-frames`: what a site's own frames taught, against classical algorithms."""

import json
from pathlib import Path
from typing import Annotated

import typer


def own_frames(
    network_id: Annotated[str, typer.Argument(metavar="ID", help="Made by `synoptic library train`.")],
    images: Annotated[Path, typer.Option(help="The folder that it was trained on.")],
    library: Annotated[Path, typer.Option(help="The library that holds it.")],
    repeated: Annotated[
        bool, typer.Option("--repeated", help="Stacks, or subfolders, of repeats (noise2noise).")
    ] = False,
    crop_px: Annotated[int, typer.Option(min=64, help="Side of the crop that is scored.")] = 256,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    write: Annotated[bool, typer.Option("--write", help="Put the scores on the card.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the whole record here.")] = None,
) -> None:
    """Score a denoiser on frames that it did not learn, beside its start and the best tuned classical one.

    No clean image is needed: frames are split into two of independent noise (psnr_repeat). Exit code 1 if
    there are too few frames.
    """
    from benchmark.folder_run import echo_rows
    from benchmark.own_frames import OwnFramesRun, judge_own_frames
    from model_library.zoo.registry import Library
    from model_library.zoo.store import save_scores

    shelf = Library(library)
    scores, found = judge_own_frames(
        OwnFramesRun(shelf, network_id, images, repeated=repeated, crop_px=crop_px, seed=seed)
    )
    if write:
        save_scores(shelf.path(network_id), scores)
    if json_file is not None:
        told = {
            "id": network_id,
            "written": write,
            "scores": [score.model_dump(mode="json") for score in scores],
            "assessment": found.model_dump(mode="json"),
        }
        json_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    echo_rows(found)
    for score in scores:
        low, high = score.ci95
        typer.echo(f"{score.metric:18} {score.value:8.3f}  [{low:.3f}, {high:.3f}]  {score.fields} fields")


def register(app: typer.Typer) -> None:
    """Add the command to the group `benchmark`."""
    app.command(
        "own-frames",
        epilog="Example: synoptic benchmark own-frames unet-denoise-micrographs-noise2void --images frames/"
        " --library my-library --write",
    )(own_frames)
