"""How a measurement is asked for on the command line, and how its figures are told."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """Begin the command line of a measurement, with `--json`; `doc` says what it measures."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser


def tell(figures: dict[str, Any], json_file: Path | None) -> None:
    """Print the figures, and write them where that was asked for."""
    text = json.dumps(figures, indent=1)
    if json_file is not None:
        json_file.write_text(text)
    print(text)


def say(line: str) -> None:
    """Tell how far a measurement is, beside its figures."""
    print(line, file=sys.stderr, flush=True)
