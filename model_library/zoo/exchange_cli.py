"""`synoptic library export|import|add|remove`: networks to and from other libraries and programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PackageFormat(StrEnum):
    """Formats that networks are exchanged in."""

    BIOIMAGEIO = "bioimageio"


IdArgument = Annotated[str, typer.Argument(metavar="ID", help="See `library list`.")]
SourceOption = Annotated[
    Path | None, typer.Option("--folder", help="Another library than the one that ships.")
]
OwnOption = Annotated[
    Path | None, typer.Option("--folder", help="Your library; the one that ships is not changed.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the card as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group `library`."""
    app.command(epilog="Example: synoptic library export unet-denoise-shot --out denoise.zip")(export)
    app.command("import", epilog="Example: synoptic library import denoise.zip --folder my-library")(take_in)
    app.command(epilog="Example: synoptic library add other-library/my-network --folder my-library")(add)
    app.command(epilog="Example: synoptic library remove my-network --folder my-library")(remove)


def export(
    network_id: IdArgument,
    out: Annotated[Path, typer.Option(help="The zip file to write.")],
    package_format: Annotated[PackageFormat, typer.Option("--format")] = PackageFormat.BIOIMAGEIO,
    folder: SourceOption = None,
) -> None:
    """Write a network as a bioimage.io 0.5 package, which `bioimageio test` accepts without a network.

    Exit code 1 if the network is not verified or cannot be expressed.
    """
    from model_library.zoo.exchange.export import export_package
    from model_library.zoo.registry import Library

    assert package_format is PackageFormat.BIOIMAGEIO
    export_package(Library(folder).load(network_id), out)
    typer.echo(f"{network_id} written to {out}")


def take_in(
    package: Annotated[Path, typer.Argument(metavar="FILE.zip", help="A bioimage.io package.")],
    network_id: Annotated[str | None, typer.Option("--id", help="What to call it here.")] = None,
    folder: OwnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a network from a bioimage.io package into a library, after it has passed the package's own test.

    Packages that carry Python code or pickles are refused. Exit code 1 if the package is refused.
    """
    from model_library.zoo.exchange.intake import import_package
    from model_library.zoo.registry import Library

    card = import_package(package, Library(folder), network_id)
    typer.echo(
        card.model_dump_json(indent=2) if as_json else f"{card.id} {card.version} {card.weights_sha256}"
    )


def add(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|CARD", help="A network's folder or card.json.")],
    folder: OwnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a copy of a network to a library, verified before it is believed; exit code 1 if it is refused."""
    from model_library.zoo.registry import Library
    from model_library.zoo.shelf import add as add_network

    card = add_network(Library(folder), source)
    typer.echo(
        card.model_dump_json(indent=2) if as_json else f"{card.id} {card.version} {card.weights_sha256}"
    )


def remove(network_id: IdArgument, folder: OwnOption = None) -> None:
    """Take a network out of a library; exit code 1 if it is not there or the library is the shipped one."""
    from model_library.zoo.registry import Library
    from model_library.zoo.shelf import remove as remove_network

    remove_network(Library(folder), network_id)
    typer.echo(f"{network_id} removed")
