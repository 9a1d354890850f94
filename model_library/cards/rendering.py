"""A card in words."""

from model_library.cards.card import CardScore, NetworkCard, TrainingData
from model_library.wire.tasks import task_in_words

_NOTHING_REAL = "none on real micrographs: its scores are those of simulated specimens"


def card_lines(card: NetworkCard) -> tuple[tuple[str, str], ...]:
    """Render a card as lines, each with a label."""
    facts, sizes = card.facts, card.pixel_size_nm
    lines = [
        ("purpose", card.purpose),
        ("task", f"{task_in_words(card.task)}, {card.config.kind}"),
        ("modality", ", ".join(card.modality) or "any"),
        ("pixel size", "any" if sizes is None else f"{sizes[0]:g} to {sizes[1]:g} nm"),
        (
            "facts",
            f"{facts.parameters} parameters, receptive field {facts.receptive_field_px} px, "
            f"{facts.flops_per_pixel / 1000:.0f} kFLOP per input pixel, "
            f"{'exact' if facts.exact_tiling else 'inexact'} tiling",
        ),
        ("weights", f"SHA-256 {card.weights_sha256}"),
        ("made by", f"{card.recipe or 'unknown'}, seed {card.seed}"),
        *(("trained on", _data(item)) for item in card.training_data),
        *((("acquired at", card.acquisition.told),) if card.acquisition is not None else ()),
        *(("score", _score(item)) for item in card.scores),
        *((("score", _NOTHING_REAL),) if card.scores and not _is_real(card) else ()),
        *(("limit", limit) for limit in card.limits),
        ("licence", card.licence),
    ]
    if card.lineage is not None:
        parent = card.lineage
        lines.append(
            ("tuned from", f"{parent.parent_id} {parent.parent_version} by campaign {parent.campaign}")
        )
    return tuple(lines)


def _is_real(card: NetworkCard) -> bool:
    return any("real micrographs" in score.suite for score in card.scores)


def _data(item: TrainingData) -> str:
    return f"{item.source}: {item.images} images, terms {item.terms}, {len(item.digests)} files by digest"


def _score(item: CardScore) -> str:
    low, high = item.ci95
    rival = (
        f", best classical {item.best_classical} {item.best_classical_value:.2f}"
        if item.best_classical is not None and item.best_classical_value is not None
        else ""
    )
    return (
        f"{item.suite}: {item.metric} {item.value:.2f} [{low:.2f}, {high:.2f}] "
        f"over {item.fields} fields{rival} ({item.command})"
    )
