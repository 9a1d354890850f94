"""From a row of the table and a folder of micrographs to cases that methods are run on."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.cases import Case
from benchmark.errors import BenchmarkError
from benchmark.real.acquired import planted_cases
from benchmark.real.frames import frame_cases
from benchmark.real.labels import labelled_cases
from benchmark.real.sources import Part
from benchmark.real.table import Coarse, Labelled, PlantedNoise, RealCase, SecondFrame


def build_cases(case: RealCase, data: Path, part: Part, seed: int = 0) -> tuple[Case, ...]:
    """Read, cut and degrade the images of one part of a case; equal arguments give equal cases."""
    rng = np.random.default_rng([seed, zlib.crc32(case.name.encode()), list(Part).index(part)])
    match case.how:
        case PlantedNoise() | Coarse():
            return planted_cases(case, case.how, data, part, rng)
        case SecondFrame():
            return frame_cases(case, case.how, data, part, rng)
        case Labelled():
            return labelled_cases(case, case.how, data, part, rng)


def named(cases: Sequence[RealCase], names: Sequence[str]) -> tuple[RealCase, ...]:
    """Choose cases by name, in the order of the table; without names, all of them.

    Raises
    ------
    BenchmarkError
        A name is none of the table's.
    """
    unknown = sorted(set(names) - {case.name for case in cases})
    if unknown:
        raise BenchmarkError(
            f"expected cases among {', '.join(case.name for case in cases)}, found {', '.join(unknown)}"
        )
    return tuple(case for case in cases if not names or case.name in names)
