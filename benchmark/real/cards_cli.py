"""`synoptic benchmark card-real`: its words."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.options import LibraryOption


def card_real(
    results: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="What `run --suite real --json FILE` wrote."),
    ],
    library: LibraryOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write how many figures each card got.")
    ] = None,
) -> None:
    """Put the figures of a run of the real suite on the cards of the networks that took part.

    Exit code 1 if the file is no result of the suite.
    """
    import json

    from pydantic import ValidationError

    from benchmark.errors import BenchmarkError
    from benchmark.real.cards import put_on_cards
    from benchmark.real.suite import SuiteResult
    from model_library.zoo.registry import Library

    try:
        found = SuiteResult.model_validate_json(results.read_bytes())
    except ValidationError as failure:
        raise BenchmarkError(
            f"{results}: expected a result of the real suite, found {failure.error_count()} contradictions "
            "to its form; write it with synoptic benchmark run --suite real --json FILE"
        ) from failure
    written = put_on_cards(found, Library(library))
    if json_file is not None:
        json_file.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    for network_id, count in written.items():
        typer.echo(f"{network_id:32} {count} figures on real micrographs")


def register(app: typer.Typer) -> None:
    """Add the command to the group `benchmark`."""
    app.command("card-real", epilog="Example: synoptic benchmark card-real real.json")(card_real)
