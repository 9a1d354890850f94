"""A bioimage.io package, opened and checked without running anything in it or fetching anything for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from bioimageio.spec import InvalidDescr, ValidationContext, build_description
from bioimageio.spec.common import Sha256
from bioimageio.spec.model.v0_5 import ModelDescr
from bioimageio.spec.utils import read_yaml
from numpy.typing import NDArray

from model_library.errors import ExchangeError
from model_library.signing.digests import sha256_bytes
from model_library.zoo.exchange.archive import read_archive
from model_library.zoo.exchange.inspection import refuse_code

_DESCRIPTION_FILES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")
_MOST_DESCRIPTION_BYTES = 1024**2
_MOST_VALUES = 100_000
_FORBIDDEN_FIELDS = ("architecture", "output_of")
"""The first names code to import, the second a model to fetch."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a package says, and its files by name; every digest in the description is that of its file."""

    name: str
    description: ModelDescr
    description_file: str
    files: Mapping[str, bytes]

    def array(self, source: object) -> NDArray[Any]:
        """Read a `.npy` file of the package; raises `ExchangeError`."""
        try:
            found: NDArray[Any] = np.load(BytesIO(self.files[str(source)]), allow_pickle=False)
        except (KeyError, ValueError, EOFError, OSError) as failure:
            raise ExchangeError(
                f"{self.name}: expected an array of numbers in {source}, found {failure}; "
                "ask its makers for a whole package"
            ) from failure
        return found


def open_package(path: Path) -> Package:
    """Open a package; raises `ExchangeError` where it is no whole zip, and as `check_package` does."""
    return check_package(path.name, read_archive(path))


def check_package(name: str, files: Mapping[str, bytes]) -> Package:
    """Check the files of a package against its description.

    Raises
    ------
    ExchangeError
        It carries code or pickles, is no valid description of a model in version 0.5, or a file is
        missing or has another digest.
    """
    refuse_code(files)
    file, content = _content(name, files)
    _refuse_fields(name, content)
    known: dict[str, Sha256 | None] = {each: Sha256(sha256_bytes(files[each])) for each in files}
    # With the digests at hand nothing is opened, and no address in the description is looked up.
    context = ValidationContext(
        perform_io_checks=False, log_warnings=False, known_files=known, disable_cache=True
    )
    found = build_description(content, context=context)
    if isinstance(found, InvalidDescr):
        raise ExchangeError(
            f"{name}: expected what bioimage.io accepts as a description, found {found.get_reason()}; "
            "correct the card, or fetch the package again"
        )
    if not isinstance(found, ModelDescr):
        raise ExchangeError(
            f"{name}: expected a model in version 0.5 of the format, found a {found.type} in "
            f"{found.format_version}; convert it with `bioimageio update-format`"
        )
    return Package(name, found, file, files)


def _content(package: str, files: Mapping[str, bytes]) -> tuple[str, dict[str, Any]]:
    name = next((name for name in _DESCRIPTION_FILES if name in files), None)
    if name is None:
        raise ExchangeError(
            f"{package}: expected {_DESCRIPTION_FILES[0]}, found {', '.join(sorted(files)[:5]) or 'no files'}"
            "; name a bioimage.io package"
        )
    text = files[name]
    if len(text) > _MOST_DESCRIPTION_BYTES:
        raise ExchangeError(
            f"{package}: expected a description of at most {_MOST_DESCRIPTION_BYTES} bytes, found {len(text)}"
            "; do not use this package"
        )
    try:
        content = read_yaml(text.decode())
    except Exception as failure:  # the parser's errors share no ancestor but this
        raise ExchangeError(
            f"{package}: expected YAML in {name}, found {failure}; fetch it again"
        ) from failure
    if not isinstance(content, dict):
        raise ExchangeError(
            f"{package}: expected fields in {name}, found {type(content).__name__}; fetch it again"
        )
    return name, {str(key): value for key, value in content.items()}


def _refuse_fields(package: str, content: dict[str, Any]) -> None:
    waiting: list[object] = [content]
    seen = 0
    while waiting:
        value = waiting.pop()
        seen += 1
        # A few nested references can stand for billions of values, or for themselves.
        if seen > _MOST_VALUES:
            raise ExchangeError(
                f"{package}: expected a description of at most {_MOST_VALUES} values, found more; "
                "do not use this package"
            )
        if isinstance(value, dict):
            found = next((field for field in _FORBIDDEN_FIELDS if field in value), None)
            if found is not None:
                raise ExchangeError(
                    f"{package}: expected a model that is whole in itself, found the field '{found}', which "
                    "names code or models elsewhere; ask its makers for ONNX or TorchScript weights only"
                )
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
