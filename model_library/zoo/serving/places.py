"""Where prepared networks lie that belong to no site; imports nothing."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Give the folder of this user, as the system has it."""
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(named) if named else Path.home() / ".cache") / "synoptic" / "networks"
