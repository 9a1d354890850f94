"""Where prepared networks lie unless somebody says otherwise; imports nothing."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Give the folder of this user, as the system has it: for every site and command on this machine."""
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(named) if named else Path.home() / ".cache") / "synoptic"


def usable_cache(wanted: Path, otherwise: Path) -> Path:
    """Give a folder where it can be written to, else another one: a service may have no home."""
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError:
        return otherwise
    return wanted if os.access(wanted, os.W_OK) else otherwise
