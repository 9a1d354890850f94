"""The trust checks on the cases of a gate, which hold the acquired images."""

from collections.abc import Sequence

from benchmark.cases import Case, Repeat
from benchmark.method import Method
from benchmark.trust.checks import Specimen, check
from benchmark.trust.findings import Check, Finding
from model_library.degradation.noise import estimate_noise
from model_library.errors import ImageError, SynopticError
from model_library.images.frame import Grey
from model_library.wire.tasks import Task

MOST_CASES = 4
"""Enough for figures that hardly scatter; each takes two or three forward passes."""


def check_cases(method: Method, cases: Sequence[Case], task: Task, *, seed: int = 0) -> tuple[Finding, ...]:
    """Make the checks on a few of the cases that a method is judged on.

    Parameters
    ----------
    method
        Of the task.
    cases
        Of one instrument; where they are recorrupted, the images as acquired are taken.
    seed
        See `checks.check`.

    Returns
    -------
    The findings; a single one that tells why, where the noise cannot be measured or the method gives no
    result: the gate has its own objection to a method without scores.
    """
    images = tuple(acquired_of(case) for case in cases[:MOST_CASES])
    try:
        noise = estimate_noise(images)
    except ImageError as refusal:
        why = f"not checked, since the noise cannot be measured: {refusal}"
        return (Finding.none(Check.INVENTION, why),)
    try:
        return check(method, Specimen(images, noise, task), seed=seed).findings
    except SynopticError as refusal:
        why = f"not checked, since the method gives no result: {refusal}"
        return (Finding.none(Check.INVENTION, why),)


def acquired_of(case: Case) -> Grey:
    """Give the image as the instrument delivered it."""
    match case.reference:
        case Repeat():
            return case.reference.pair.acquired
        case _:
            return case.input
