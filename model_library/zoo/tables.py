"""Networks of a library as tables for a terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from model_library.cards.card import CardScore, NetworkCard
from model_library.cards.rendering import card_lines


def networks_table(cards: Iterable[NetworkCard]) -> Table:
    """Lay out networks, one a row."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("network", no_wrap=True)
    table.add_column("task", no_wrap=True)
    for name in ("params", "field", "kFLOP", "nm"):
        table.add_column(name, justify="right")
    table.add_column("score", no_wrap=True)
    for card in cards:
        facts, sizes = card.facts, card.pixel_size_nm
        table.add_row(
            card.id,
            card.task.kind + (f" x{card.task.scale}" if card.task.scale > 1 else ""),
            f"{facts.parameters / 1000:.0f} k",
            f"{facts.receptive_field_px}{'' if facts.exact_tiling else ' (inexact)'}",
            f"{facts.flops_per_pixel / 1000:.0f}",
            "any" if sizes is None else f"{sizes[0]:g}-{sizes[1]:g}",
            _score(card.scores),
        )
    return table


def card_table(card: NetworkCard) -> RenderableType:
    """Lay out a card, one fact a row."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in card_lines(card):
        table.add_row(label, Text(text))
    return Group(Text(f"{card.id} {card.version}", style="bold"), table)


def _score(scores: tuple[CardScore, ...]) -> str:
    if not scores:
        return "none"
    first = scores[0]
    return f"{first.metric} {first.value:.2f}"
