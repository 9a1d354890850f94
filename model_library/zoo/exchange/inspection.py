"""What a package carries that must not be run: programs and pickles."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import BadZipFile, ZipFile

from model_library.errors import ExchangeError

_PROGRAMS = frozenset(
    {".bat", ".dll", ".dylib", ".exe", ".ipynb", ".jar", ".py", ".pyc", ".pyd", ".sh", ".so"}
)
_PICKLES = frozenset({".ckpt", ".joblib", ".pickle", ".pkl", ".pth"})
_TORCH = frozenset({".pt", ".torchscript"})
_REMEDY = "ask its makers for a package with ONNX or TorchScript weights only (`bioimageio package`)"


def refuse_code(files: Mapping[str, bytes]) -> None:
    """Refuse a package with Python code, other programs, or pickles, which run whatever they like.

    Parameters
    ----------
    files
        Contents by name. A TorchScript archive is no pickle in this sense: `torchscript` looks into it.

    Raises
    ------
    ExchangeError
        With the first such file and what it is.
    """
    for name, content in files.items():
        found = _danger(name, content)
        if found is not None:
            raise ExchangeError(
                f"expected a package of data only, found {found}: {name}; Synoptic runs no "
                f"code of strangers: {_REMEDY}"
            )


def is_torchscript(content: bytes) -> bool:
    """Whether a file is a TorchScript archive, by its table of contents."""
    inner = _inner_names(content)
    return any(name.endswith("/constants.pkl") for name in inner) and any("/code/" in name for name in inner)


def _danger(name: str, content: bytes) -> str | None:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _PROGRAMS:
        return "Python code" if suffix in {".py", ".pyc", ".ipynb"} else "a program"
    if is_torchscript(content):
        return None
    if suffix in _PICKLES or suffix in _TORCH or _looks_pickled(content):
        return "a pickle"
    if content.startswith(b"\x93NUMPY") and b"'|O'" in content[:256]:
        return "a pickle (an array of Python objects)"
    for inner in _inner_names(content):
        if PurePosixPath(inner).suffix.lower() in _PROGRAMS | _PICKLES:
            return f"an archive with {inner}"
    return None


def _looks_pickled(content: bytes) -> bool:
    # Protocols 2 to 5 begin with their number and end with a stop.
    return (
        content[:1] == b"\x80"
        and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
        and content[-1:] == b"."
    )


def _inner_names(content: bytes) -> tuple[str, ...]:
    if not content.startswith(b"PK\x03\x04"):
        return ()
    try:
        with ZipFile(BytesIO(content)) as archive:
            return tuple(archive.namelist())
    except (BadZipFile, NotImplementedError, ValueError):
        return ()
