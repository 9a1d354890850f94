"""`synoptic library`: list, show, verify, pre-train and exchange networks."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_library.errors import SynopticError
from model_library.zoo import exchange_cli, images_cli, train_cli
from model_library.zoo.annotations_cli import LINT_EXAMPLE, annotations_lint
from model_library.zoo.degradation_cli import DEGRADATION_FIT_EXAMPLE, degradation_fit

if TYPE_CHECKING:
    from model_library.cards.card import NetworkCard
    from model_library.zoo.registry import Library


class Device(StrEnum):
    """Where a training computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """Of a training's convolutions."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


app = typer.Typer(
    no_args_is_help=True,
    help="The networks that ship, their cards, and how they were trained.",
    epilog="Example: synoptic library list",
)

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="Another library than the one that ships.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog="Example: synoptic library list --json")
def list_networks(folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """List the networks of the library."""
    cards = _cards(_library(folder))
    if as_json:
        typer.echo(json.dumps([_row(card) for card in cards], indent=2))
        return
    from rich.console import Console

    from model_library.zoo.tables import networks_table

    Console().print(networks_table(cards))


@app.command(epilog="Example: synoptic library show unet-denoise-shot")
def show(
    network_id: Annotated[str, typer.Argument(metavar="ID", help="See `library list`.")],
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a network's card: purpose, training data, scores, limits."""
    card = _library(folder).card(network_id)
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
        return
    from rich.console import Console

    from model_library.zoo.tables import card_table

    Console().print(card_table(card))


@app.command(epilog="Example: synoptic library verify --all")
def verify(
    network_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="See `library list`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every network of the library.")] = False,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute digests, keys, shapes, facts and self-tests; exit code 1 where they contradict a card."""
    library = _library(folder)
    wanted = list(library.ids()) if every else list(network_ids or ())
    if not wanted:
        raise typer.BadParameter("name networks, or give --all")
    found = [_verdict(library, network_id) for network_id in wanted]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for verdict in found:
            typer.echo(f"{verdict['id']:28} {'verified' if verdict['verified'] else verdict['reason']}")
    if not all(verdict["verified"] for verdict in found):
        raise typer.Exit(1)


@app.command(epilog="Example: synoptic library pretrain unet-denoise-shot --out /tmp/library")
def pretrain(
    recipe: Annotated[str, typer.Argument(help="Id of a network that ships, or a TOML file.")],
    out: Annotated[
        Path | None, typer.Option(help="Library to write to (default: the one that ships), into OUT/<id>/.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of micrographs, where a recipe wants some.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Other numbers round differently: other digest.")] = 1,
    device: Annotated[
        Device, typer.Option(help="auto takes a GPU where there is one; other digest there.")
    ] = Device.AUTO,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Instead of the recipe's; auto takes bf16 where the processor has it."),
    ] = None,
    checkpoint_every_s: Annotated[float, typer.Option(min=0, help="Write the state this often.")] = 60.0,
    afresh: Annotated[bool, typer.Option("--afresh", help="Drop the checkpoint of an earlier run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network from its recipe; the same recipe, seed and machine give the same digest.

    An interrupted training goes on when the command is given again: its state lies in
    OUT/<id>/checkpoint until the network is written. curve.jsonl and curve.png show the losses.
    Several processors: torchrun --nproc-per-node N --no-python synoptic library pretrain ...
    """
    from model_library.zoo.pretraining import Pretraining, run_pretraining
    from model_library.zoo.recipe import recipe_path

    wanted = Pretraining(
        recipe=recipe_path(recipe),
        library=_library(out),
        data=data,
        threads=threads,
        device=device.value,
        precision=None if precision is None else precision.value,
        checkpoint_every_s=checkpoint_every_s,
        afresh=afresh,
    )
    card = run_pretraining(wanted)
    if card is not None:
        typer.echo(
            card.model_dump_json(indent=2) if as_json else f"{card.id} {card.version} {card.weights_sha256}"
        )


def _library(folder: Path | None) -> "Library":
    from model_library.zoo.registry import Library

    return Library(folder)


def _cards(library: "Library") -> list["NetworkCard"]:
    return [library.card(network_id) for network_id in library.ids()]


def _row(card: "NetworkCard") -> dict[str, Any]:
    content = card.model_dump(mode="json")
    return {
        "id": card.id,
        "version": card.version,
        "task": content["task"],
        "modality": content["modality"],
        "architecture": card.config.kind,
        **content["facts"],
        "pixel_size_nm": content["pixel_size_nm"],
        "licence": card.licence,
        "scores": content["scores"],
    }


def _verdict(library: "Library", network_id: str) -> dict[str, Any]:
    try:
        card = library.verify(network_id)
    except SynopticError as refusal:
        return {"id": network_id, "verified": False, "reason": str(refusal)}
    return {"id": network_id, "verified": True, "weights_sha256": card.weights_sha256}


app.command("annotations-lint", epilog=LINT_EXAMPLE)(annotations_lint)
exchange_cli.register(app)
app.command("degradation-fit", epilog=DEGRADATION_FIT_EXAMPLE)(degradation_fit)
images_cli.register(app)
app.add_typer(train_cli.app)
