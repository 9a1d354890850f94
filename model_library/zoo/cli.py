"""`synoptic library`: list, show, verify, pre-train and exchange networks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_library.errors import SynopticError
from model_library.zoo import exchange_cli

if TYPE_CHECKING:
    from model_library.cards.card import NetworkCard
    from model_library.zoo.registry import Library

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
    network_id: Annotated[str, typer.Argument(metavar="ID")],
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
    network_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
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
    as_json: JsonOption = False,
) -> None:
    """Train a network from its recipe; the same recipe, seed and threads give the same digest."""
    import torch

    from model_library.signing.digests import sha256_file
    from model_library.training.fit import FitProgress
    from model_library.zoo.pretrain import pretrain as train
    from model_library.zoo.recipe import read_recipe, recipe_path
    from model_library.zoo.store import save_network

    torch.set_num_threads(threads)
    path = recipe_path(recipe)

    def tell(now: FitProgress) -> None:
        if now.step % 50 == 0 or now.step == now.steps:
            typer.echo(f"step {now.step} of {now.steps}, loss {now.loss:.5f}", err=True)

    library, wanted = _library(out), read_recipe(path)
    made = train(
        wanted,
        # A new library need not hold the network that training starts from.
        library=library if wanted.start in library.ids() else _library(None),
        data=data,
        progress=tell,
        provenance=f"recipe {path.name}, SHA-256 {sha256_file(path)}",
    )
    card = save_network(library.folder / made.card.id, made.module, made.card)
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


exchange_cli.register(app)
