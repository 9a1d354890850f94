"""Measuring, once, how fast a site's computer runs each family of networks."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from model_library.cards.card import CARD_FILE, NetworkCard
from model_library.inference.precision import PrecisionPolicy
from model_library.inference.prepared import Measured, Prepared, gives_instances, prepared_network
from model_library.wire.compute import ComputeFacts, FamilyThroughput
from model_library.zoo.serving.child import Prepare, prepare_in_child


def family_members(library: Path) -> dict[str, tuple[NetworkCard, Path]]:
    """Choose of each family the member with the most arithmetic per pixel: its rate predicts the others best.

    Families whose networks give instances are left out: they work per object, not per pixel.
    """
    found: dict[str, tuple[NetworkCard, Path]] = {}
    for path in sorted(library.glob(f"*/{CARD_FILE}")):
        if gives_instances(path.parent):
            continue
        card = NetworkCard.model_validate_json(path.read_bytes())
        best = found.get(card.config.kind)
        if best is None or card.facts.flops_per_pixel > best[0].facts.flops_per_pixel:
            found[card.config.kind] = card, path.parent
    return found


def calibrate(
    members: dict[str, tuple[NetworkCard, Path]],
    cache: Path,
    threads: int,
    *,
    begun: Callable[[str], None] = lambda _: None,
    prepare: Prepare = prepare_in_child,
    precision: PrecisionPolicy = "float32",
) -> ComputeFacts:
    """Measure every family, each in a child, with the threads that the site's settings allow.

    Parameters
    ----------
    members
        What `family_members` gives.
    cache
        Where prepared networks lie; those of this machine that are there are not measured again.
    begun
        Told of each family before it is measured.
    precision
        What networks may be computed in here.

    Raises
    ------
    WeightsError
        A network is not whole or cannot be prepared.
    """
    records: dict[str, tuple[Prepared, Measured]] = {}
    for family, (_, folder) in members.items():
        begun(family)
        record, _ = prepared_network(folder, cache, threads, prepare)
        records[family] = record, record.choice(precision)
    return ComputeFacts(
        threads=threads,
        memory_bytes=_memory_bytes(),
        engine=_engine(choice for _, choice in records.values()),
        families=tuple(
            FamilyThroughput(
                family=family,
                flops_per_pixel=record.flops_per_pixel,
                mpix_per_s=choice.mpix_per_s,
            )
            for family, (record, choice) in records.items()
        ),
    )


def _engine(choices: Iterable[Measured]) -> str:
    chosen = sorted({f"{each.backend} {each.precision}" for each in choices})
    return ", ".join(chosen) or "none"


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        # Windows does not tell by the standard library; the least that any microscope's computer has.
        return 4 << 30
