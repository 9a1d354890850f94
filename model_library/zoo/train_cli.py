"""`synoptic library train`: a denoiser from a folder of noisy frames."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from model_library.zoo.self_training import SelfTrained


class Method(StrEnum):
    """What stands in for clean images."""

    NOISE2VOID = "noise2void"
    NOISE2SELF = "noise2self"
    NOISE2NOISE = "noise2noise"


class Architecture(StrEnum):
    """What training begins with where it does not begin with a network."""

    UNET = "unet"
    RESIDUAL_DENOISER = "residual-denoiser"


app = typer.Typer()


@app.command(
    epilog="Example: synoptic library train --images frames/ --method noise2void"
    " --start unet-denoise-micrographs --out my-library --json trained.json"
)
def train(
    images: Annotated[Path, typer.Option(help="Folder of frames of one instrument, of any format.")],
    method: Annotated[
        Method, typer.Option(help="noise2noise: stacks, or subfolders, of repeats of each field.")
    ],
    out: Annotated[Path, typer.Option(help="Library to write to, into OUT/<id>/.")],
    start: Annotated[str | None, typer.Option(help="Network to go on from, of OUT or that ships.")] = None,
    architecture: Annotated[Architecture, typer.Option(help="Of a fresh one.")] = Architecture.UNET,
    network_id: Annotated[str | None, typer.Option("--id", help="Default: <start>-<method>.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = 1000,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    patch_px: Annotated[int, typer.Option(min=16, help="Side of a patch.")] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Other numbers round differently.")] = 1,
    checkpoint_every_s: Annotated[float, typer.Option(min=0, help="Write the state this often.")] = 60.0,
    afresh: Annotated[bool, typer.Option("--afresh", help="Drop the checkpoint of an earlier run.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Train a denoiser on noisy frames alone: no clean image is needed.

    One field of view in five is held out and judged against an independent repeat of its acquisition. An
    interrupted training goes on when the command is given again. curve.jsonl and curve.png show the losses.
    Next: synoptic benchmark own-frames, which holds it against the best classical algorithm.
    """
    from rich.console import Console

    from model_library.zoo.registry import Library
    from model_library.zoo.self_training import SelfTraining, run_self_training

    wanted = SelfTraining(
        images=images,
        method=method.value,
        library=Library(out),
        network_id=network_id or f"{start or architecture.value}-{method.value}",
        start=start,
        architecture=architecture.value,
        steps=steps,
        batch=batch,
        patch_px=patch_px,
        seed=seed,
        threads=threads,
        checkpoint_every_s=checkpoint_every_s,
        afresh=afresh,
    )
    done = run_self_training(wanted, Console(stderr=True))
    if json_file is not None:
        json_file.write_text(json.dumps(_told(done), indent=2) + "\n", encoding="utf-8")
    for name, why in done.frames.left_out.items():
        typer.echo(f"left out {name}: {why}", err=True)
    held = len(done.frames.held_out)
    for name, value in done.psnr_repeat.items():
        typer.echo(f"{name:10} {value:7.2f} dB  against an independent repeat, {held} held-out fields")
    typer.echo(f"{done.card.id} {done.card.version} {done.card.weights_sha256}")


def _told(done: "SelfTrained") -> dict[str, Any]:
    frames = done.frames
    return {
        "id": done.card.id,
        "version": done.card.version,
        "weights_sha256": done.card.weights_sha256,
        "steps": done.steps,
        "learned": [each.name for each in frames.learned],
        "held_out": [each.name for each in frames.held_out],
        "left_out": frames.left_out,
        "psnr_repeat_db": done.psnr_repeat,
    }
