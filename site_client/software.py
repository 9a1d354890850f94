"""Which versions of what a site runs, as its heartbeat tells."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

TOLD = ("synoptic", "torch", "onnxruntime", "openvino", "flwr", "tuf")
"""Packages on whose version it depends what a site can do."""


def versions(packages: Iterable[str] = TOLD) -> dict[str, str]:
    """Tell Python's, the system's, and those of the packages that are installed; imports none of them."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {name: told[:100] for name, told in found.items()}
