"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

LibraryOption = Annotated[
    Path | None, typer.Option("--library", help="Another library than the one that ships.")
]
