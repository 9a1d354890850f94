"""Which networks of a library could serve an instrument at all, before any is run: a pure decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmark.scores import method_key
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import Modality, NetworkCard
from model_library.images.pixel_fit import fit_pixels


@dataclass(frozen=True)
class InstrumentFacts:
    """What is known of an instrument and its images; None and empty where nothing is.

    Attributes
    ----------
    pixel_size_nm
        Side of a pixel.
    digests
        SHA-256 of the image files that networks are ranked on.
    fields
        The fields of view, as `tuned_field` names them.
    acquisition
        How the images were acquired, as far as their files tell.
    """

    pixel_size_nm: float | None = None
    modality: Modality | None = None
    digests: frozenset[str] = field(default_factory=frozenset)
    fields: frozenset[str] = field(default_factory=frozenset)
    acquisition: AcquisitionRange | None = None


@dataclass(frozen=True)
class Narrowed:
    """The networks that are ranked, and of the others why they are not (`id@version` -> words)."""

    eligible: tuple[NetworkCard, ...]
    left_out: dict[str, str]


def narrow(cards: Sequence[NetworkCard], facts: InstrumentFacts) -> Narrowed:
    """Leave out networks of a task that cannot serve the instrument, or cannot be judged fairly on it.

    A network for pixels of another size is left out where it would not serve either (`fit_pixels`). One
    for other microscopes, or that learned from another beam voltage or dose, is left out only while one
    for this kind, or for any, remains.
    """
    eligible: list[NetworkCard] = []
    left_out: dict[str, str] = {}
    for card in cards:
        why = _unfit(card, facts)
        if why is None:
            eligible.append(card)
        else:
            left_out[method_key(card.ref)] = why
    for unlike in (_other_microscope, _other_beam):
        apart = {method_key(card.ref): why for card in eligible if (why := unlike(card, facts)) is not None}
        if len(apart) < len(eligible):
            eligible = [card for card in eligible if method_key(card.ref) not in apart]
            left_out |= apart
    return Narrowed(tuple(eligible), left_out)


def _other_microscope(card: NetworkCard, facts: InstrumentFacts) -> str | None:
    if facts.modality is None or facts.modality in (card.modality or (facts.modality,)):
        return None
    return f"is for {', '.join(card.modality)}, and the images are {facts.modality}"


def _other_beam(card: NetworkCard, facts: InstrumentFacts) -> str | None:
    if card.acquisition is None or facts.acquisition is None:
        return None
    return card.acquisition.unlike(facts.acquisition.on_pixels(facts.pixel_size_nm))


def _unfit(card: NetworkCard, facts: InstrumentFacts) -> str | None:
    if card.config.channels != "grey":
        return f"works on {card.config.channels}, not on single grey images"
    pixels = fit_pixels(facts.pixel_size_nm, card.pixel_size_nm)
    if pixels.action == "refuse":
        return pixels.words
    digests = {digest for data in card.training_data for digest in data.digests}
    if seen := len(digests & facts.digests):
        return f"saw {seen} of the {len(facts.digests)} images in its training"
    tuned = sorted(facts.fields.intersection(card.lineage.tuned_fields if card.lineage else ()))
    if tuned:
        return f"was tuned on {len(tuned)} of the {len(facts.fields)} fields to rank on, such as {tuned[0]}"
    return None
