"""Which networks of a library could serve an instrument at all, before any is run: a pure decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmark.scores import method_key
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
    """

    pixel_size_nm: float | None = None
    modality: Modality | None = None
    digests: frozenset[str] = field(default_factory=frozenset)
    fields: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Narrowed:
    """The networks that are ranked, and of the others why they are not (`id@version` -> words)."""

    eligible: tuple[NetworkCard, ...]
    left_out: dict[str, str]


def narrow(cards: Sequence[NetworkCard], facts: InstrumentFacts) -> Narrowed:
    """Leave out networks of a task that cannot serve the instrument, or cannot be judged fairly on it.

    A network for pixels of another size is left out where it would not serve either (`fit_pixels`). One
    for other microscopes is left out only while one for this kind, or for any, remains.
    """
    eligible, left_out = [], {}
    for card in cards:
        why = _unfit(card, facts)
        if why is None:
            eligible.append(card)
        else:
            left_out[method_key(card.ref)] = why
    if facts.modality is not None:
        native = [card for card in eligible if facts.modality in (card.modality or (facts.modality,))]
        for card in eligible if native else ():
            if card not in native:
                left_out[method_key(card.ref)] = (
                    f"is for {', '.join(card.modality)}, and the images are {facts.modality}"
                )
        eligible = native or eligible
    return Narrowed(tuple(eligible), left_out)


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
