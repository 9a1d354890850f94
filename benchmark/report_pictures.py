"""Pictures of a comparison, drawn again from the images that it was made on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.cases import Case
from benchmark.figures import Panel, map_row
from benchmark.method import Method
from benchmark.micrographs import Degrading
from benchmark.named import cast, labels_of
from benchmark.sites import Asked, read_sites
from model_library.errors import SynopticError


@dataclass(frozen=True)
class Sought:
    """Where images, their truth and the networks lie; what is None is taken from where the command had it.

    Without `images` no picture is drawn.
    """

    images: Path | None = None
    truth: Path | None = None
    library: Path | None = None


def pictures(content: Mapping[str, Any], sought: Sought) -> list[bytes]:
    """Draw the first scored image with both methods of a comparison, if images and methods are at hand.

    Truth, added noise, labels, crop and seed are those of the comparison, so that its very image is drawn.
    """
    if sought.images is None or "asked" not in content:
        return []
    named = content.get("named") or {"a": content.get("candidate"), "b": content.get("incumbent")}
    names = [name for name in (named["a"], named["b"]) if name is not None]
    if len(names) < 2:
        return []
    with TemporaryDirectory() as aside:
        try:
            found = cast(names, library=sought.library, aside=Path(aside))
            read = read_sites(asked_again(content["asked"], sought.images, sought.truth), found.task)
            tuning, scored = read.split(tuned=found.tuned or content["kind"] != "compare")
            methods = found.methods(tuning)
        except SynopticError:
            # A report must not fail for want of a picture: the section says that there is none.
            return []
        labels = labels_of(methods)
        return [example(scored[0], {labels[name]: method for name, method in methods.items()})]


def example(case: Case, methods: Mapping[str, Method]) -> bytes:
    """PNG of the first case: input and both results, and the map of their difference."""
    (first, a), (second, b) = ((label, method(case.input)) for label, method in methods.items())
    return map_row(
        [
            Panel("input", case.input),
            Panel(first, a),
            Panel(second, b),
            Panel("difference", a - b, signed=True),
        ]
    )


def asked_again(told: Mapping[str, Any], images: Path, truth: Path | None) -> Asked:
    """Ask for images as a command did, from other folders."""
    truth = truth or _path(told["truth"])
    return Asked(
        images,
        Degrading(truth, None if truth is not None else told["noise_sigma"]),
        _path(told["labels"]),
        told["crop_px"],
        told["at_most"],
        told["seed"],
    )


def _path(told: str | None) -> Path | None:
    return None if told is None else Path(told)
