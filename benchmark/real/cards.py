"""Figures of the real suite on the cards of the networks that took part."""

from collections.abc import Sequence

from benchmark.real.rows import POOLED, RealRow
from benchmark.real.suite import SuiteResult
from model_library.cards.card import CardScore, NetworkCard
from model_library.zoo.registry import Library
from model_library.zoo.store import GAIN, save_scores

COMMAND = "synoptic benchmark run --suite real --data DATA"
"""Begins the command of every score that comes from the suite."""


def put_on_cards(found: SuiteResult, library: Library) -> dict[str, int]:
    """Write what a run of the suite gave onto the cards; scores of other commands stay.

    Returns
    -------
    dict
        Network -> how many figures its card has now from the suite; networks that took no part are left as
        they are.

    Raises
    ------
    CardError
        The weights beside a card are not those that it names.
    """
    written = {}
    for network_id in library.ids():
        card = library.card(network_id)
        scores = real_scores(card, (*found.rows, *found.pooled), options=_options(found))
        if scores:
            others = tuple(score for score in card.scores if not from_suite(score))
            save_scores(library.path(network_id), (*others, *scores))
            written[network_id] = len(scores)
    return written


def from_suite(score: CardScore) -> bool:
    """Whether a figure comes from the real suite."""
    return score.command.startswith(COMMAND)


def real_scores(card: NetworkCard, rows: Sequence[RealRow], *, options: str = "") -> tuple[CardScore, ...]:
    """Turn the rows of a network as it ships into scores: each case's first metric, and the pooled gain.

    `options` are those of the command, beside which networks and cases were asked for.
    """
    first: dict[str, CardScore] = {}
    rivals = {(row.case, row.metric, row.method): row.value for row in rows if row.kind == "classical"}
    for row in rows:
        if row.method != f"{card.id}@{card.version}" or row.kind != "network" or row.case in first:
            continue
        rival = rivals.get((row.case, row.metric, row.best_classical or ""))
        score = _score(card, row, rival, options)
        if score is not None:
            first[row.case] = score
    return tuple(first.values())


def _options(found: SuiteResult) -> str:
    turned = " --self-ensemble" if found.self_ensemble else ""
    return f"{turned} --seed {found.seed}" if found.seed else turned


def _score(card: NetworkCard, row: RealRow, rival: float | None, options: str) -> CardScore | None:
    pooled = row.case.startswith(f"{POOLED}-")
    value, ci95 = (row.difference, row.difference_ci95) if pooled else (row.value, row.ci95)
    if value is None or ci95 is None:
        return None
    command = f"{COMMAND} --networks {card.id}{options}"
    return CardScore(
        suite=f"real micrographs, {row.case}" + (f" of {row.task}" if pooled else ""),
        metric=f"{row.metric}{GAIN}" if pooled else row.metric,
        value=value,
        ci95=ci95,
        best_classical=row.best_classical,
        best_classical_value=None if pooled else rival,
        fields=row.n,
        command=command if pooled else f"{command} --cases {row.case}",
    )
