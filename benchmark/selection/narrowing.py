"""Which networks of a library could serve an instrument at all, before any is run: a pure decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from model_library.cards.card import Modality, NetworkCard
from model_library.images.pixel_fit import PixelFit, fit_pixels


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
class Eligible:
    """A network to be ranked, and how the images' pixels are brought to it."""

    card: NetworkCard
    pixels: PixelFit


@dataclass(frozen=True)
class Narrowed:
    """The networks that are ranked, and of the others why they are not (`id@version` -> words)."""

    eligible: tuple[Eligible, ...]
    left_out: dict[str, str]


def narrow(cards: Sequence[NetworkCard], facts: InstrumentFacts) -> Narrowed:
    """Leave out networks of a task that cannot serve the instrument, or cannot be judged fairly on it.

    A network for pixels of another size is left out where it would not serve either (`fit_pixels`). One
    for other microscopes is left out only while one for this kind, or for any, remains.
    """
    eligible, left_out = [], {}
    for card in cards:
        pixels = fit_pixels(facts.pixel_size_nm, card.pixel_size_nm)
        why = _unfit(card, facts, pixels)
        if why is None:
            eligible.append(Eligible(card, pixels))
        else:
            left_out[name_of(card)] = why
    if facts.modality is not None:
        native = [each for each in eligible if facts.modality in (each.card.modality or (facts.modality,))]
        for each in eligible if native else ():
            if each not in native:
                left_out[name_of(each.card)] = (
                    f"is for {', '.join(each.card.modality)}, and the images are {facts.modality}"
                )
        eligible = native or eligible
    return Narrowed(tuple(eligible), left_out)


def name_of(card: NetworkCard) -> str:
    """Name a network version as a benchmark does."""
    return f"{card.id}@{card.version}"


def _unfit(card: NetworkCard, facts: InstrumentFacts, pixels: PixelFit) -> str | None:
    if card.config.channels != "grey":
        return f"works on {card.config.channels}, not on single grey images"
    if pixels.action == "refuse":
        return pixels.words
    digests = {digest for data in card.training_data for digest in data.digests}
    if seen := len(digests & facts.digests):
        return f"saw {seen} of the {len(facts.digests)} images in its training"
    tuned = sorted(facts.fields.intersection(card.lineage.tuned_fields if card.lineage else ()))
    if tuned:
        return f"was tuned on {len(tuned)} of the {len(facts.fields)} fields to rank on, such as {tuned[0]}"
    return None
