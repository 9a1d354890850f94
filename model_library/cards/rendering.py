"""A card in words."""

from model_library.cards.card import CardScore, NetworkCard, TrainingData


def as_text(card: NetworkCard) -> str:
    """Render a card as lines of plain text."""
    facts = card.facts
    lines = [
        f"{card.id} {card.version}: {card.purpose}",
        f"task          {card.task.kind} x{card.task.scale}, {card.config.kind}",
        f"facts         {facts.parameters} parameters, receptive field {facts.receptive_field_px} px, "
        f"{facts.flops_per_pixel / 1000:.0f} kFLOP per input pixel, "
        f"{'exact' if facts.exact_tiling else 'inexact'} tiling",
        f"weights       SHA-256 {card.weights_sha256}",
        f"made by       {card.recipe or 'unknown'}, seed {card.seed}",
        *(f"trained on    {_data(item)}" for item in card.training_data),
        *(f"score         {_score(item)}" for item in card.scores),
        *(f"limit         {limit}" for limit in card.limits),
        f"licence       {card.licence}",
    ]
    if card.lineage is not None:
        parent = card.lineage
        lines.append(
            f"tuned from    {parent.parent_id} {parent.parent_version} by campaign {parent.campaign}"
        )
    return "\n".join(lines)


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
