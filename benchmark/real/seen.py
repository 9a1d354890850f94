"""Whether training saw what is to be scored: digests on a card against digests of the case's files."""

from enum import StrEnum
from pathlib import Path

from benchmark.real.sources import Part
from benchmark.real.table import RealCase
from model_library.cards.card import NetworkCard
from model_library.images.frame import Frame
from model_library.images.readers import read_stack
from model_library.signing.digests import sha256_bytes, sha256_file
from model_library.wire.base import Message


class Seen(StrEnum):
    """What of a case's source training saw."""

    NOTHING = "nothing"
    TUNING = "tuning images"
    SCORED = "scored images"


class CaseDigests(Message):
    """SHA-256 of the images of a case, by part.

    Of a file with one image, those of the file. Of a stack whose pages are parted, those of each page
    (`page_digest`); `whole` then holds that of the file, and a card that names it has seen every page.
    """

    tuning: frozenset[str]
    scored: frozenset[str]
    whole: frozenset[str] = frozenset()


def page_digest(page: Frame) -> str:
    """SHA-256 of a page's pixels as stored, row by row: how a card names one page of a stack."""
    return sha256_bytes(page.pixels.tobytes())


def case_digests(case: RealCase, data: Path) -> CaseDigests:
    """Compute the digests of a case's files; raises `BenchmarkError` where they are missing."""
    parts: dict[Part, frozenset[str]] = {}
    whole: frozenset[str] = frozenset()
    for part in Part:
        files = case.source.files(data, part)
        chosen = case.source.pages(part)
        if not chosen:
            parts[part] = frozenset(sha256_file(path) for path in files)
            continue
        whole |= {sha256_file(path) for path in files}
        stacks = [read_stack(path) for path in files]
        parts[part] = frozenset(page_digest(stack[page]) for stack in stacks for page in chosen)
    return CaseDigests(tuning=parts[Part.TUNING], scored=parts[Part.SCORED], whole=whole)


def seen_by(card: NetworkCard, digests: CaseDigests) -> Seen:
    """Tell what the training of a network, and of all before it, saw of a case."""
    trained = {digest for data in card.training_data for digest in data.digests}
    if trained & (digests.scored | digests.whole):
        return Seen.SCORED
    return Seen.TUNING if trained & digests.tuning else Seen.NOTHING


def refusal(card: NetworkCard, digests: CaseDigests) -> str:
    """Say why a network is not scored on a case."""
    both = {digest for data in card.training_data for digest in data.digests} & (
        digests.scored | digests.whole
    )
    shown = ", ".join(digest[:12] for digest in sorted(both)[:3])
    return f"its training saw {len(both)} of {len(digests.scored)} images to be scored (SHA-256 {shown} ...)"
