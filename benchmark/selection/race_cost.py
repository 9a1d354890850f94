"""What a race costs, and how often it finds the winner, replayed on a table of real scores."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.cases import Case, Truth
from benchmark.selection.race import in_order, run
from benchmark.selection.race_rules import RaceRules
from benchmark.selection.score_table import ScoreTable
from benchmark.selection.tolerance import NEAR_TIE
from model_library.wire.base import Message

How = Literal["race", "successive halving"]
_PIXEL = np.zeros((1, 1), np.float32)


class Replayed(Message):
    """A way to choose, over many seeds.

    Attributes
    ----------
    networks
        That each choice was among.
    cost_mean, cost_max
        Share of the network-crops of the exhaustive assessment.
    time_mean
        Share of its wall time.
    same_winner
        Share of seeds that gave the network of the highest mean over all crops.
    right
        Share that gave that one, or one within a near-tie of it.
    worst_regret
        In the metric's unit.
    tied
        Share that ended in a tie because the budget was spent, see `RaceRules.budget`.
    truth_near, truth_worst
        Share whose winner is within 0.05 dB, in PSNR against the hidden truth, of the network that the
        exhaustive assessment chooses, or better; the most that one lost, in dB. None where the scores
        themselves are against the truth.
    """

    how: How
    networks: int
    seeds: int
    cost_mean: float
    cost_max: float
    time_mean: float
    same_winner: float
    right: float
    worst_regret: float
    tied: float
    truth_near: float | None
    truth_worst: float | None


class RaceCost(Message):
    """Replays of one table; `runner_up` (how far the second network lags) and `near_tie` in its unit."""

    images: str
    networks: int
    fields: int
    crops: int
    best: str
    runner_up: float
    near_tie: float
    replays: tuple[Replayed, ...]


def replay(table: ScoreTable, seeds: int, rules: RaceRules) -> RaceCost:
    """Race on a table of scores, once per seed, beside successive halving (Jamieson and Talwalkar 2016).

    Each is done with all racers, and with three quarters of them, drawn anew for every seed: so the winner
    and the gap to the next differ from race to race.
    """
    racers = sorted(table.values)
    values = np.array([table.values[racer] for racer in racers])
    seconds = np.array([table.seconds[racer] for racer in racers]) / values.shape[1]
    places = {name: place for place, name in enumerate(table.names)}
    cases = [
        Case(field, name, _PIXEL, Truth(_PIXEL, 1.0))
        for field, name in zip(table.fields, table.names, strict=True)
    ]
    orders = [[places[case.name] for case in in_order(cases, seed)] for seed in range(seeds)]
    tie = table.near_tie
    ways: dict[How, Callable[[NDArray[np.float64], Sequence[str]], _Outcome]] = {
        "race": lambda drawn, fields: _raced(drawn, fields, rules, tie),
        "successive halving": lambda drawn, _: _halved(drawn, rules.first),
    }
    truth = np.array([table.truth.get(racer, np.nan) for racer in racers])
    replays = []
    for networks in (len(racers), max(2, 3 * len(racers) // 4)):
        for how, way in ways.items():
            outcomes = []
            for seed, order in enumerate(orders):
                among = np.sort(np.random.default_rng([seed, 2]).permutation(len(racers))[:networks])
                drawn = values[among][:, order]
                outcome = way(drawn, [table.fields[place] for place in order])
                outcomes.append(_judged(outcome, drawn, seconds[among], truth[among]))
            replays.append(_over(how, networks, outcomes, tie))
    means = np.sort(values.mean(axis=1))
    return RaceCost(
        images=table.images,
        networks=len(racers),
        fields=len(set(table.fields)),
        crops=len(cases),
        best=racers[int(values.mean(axis=1).argmax())],
        runner_up=float(means[-1] - means[-2]),
        near_tie=table.near_tie,
        replays=tuple(replays),
    )


class _Outcome(NamedTuple):
    """Winner, crops that each racer ran, and whether a budget ended it in a tie."""

    winner: int
    ran: NDArray[np.int64]
    tied: bool


def _raced(values: NDArray[np.float64], fields: Sequence[str], rules: RaceRules, tie: float) -> _Outcome:
    racers = [str(number) for number in range(len(values))]
    course = run(racers, fields, lambda racer, place: float(values[int(racer), place]), lambda _: tie, rules)
    ran = np.array([len(course.values[racer]) for racer in racers])
    ended = np.array([int(racer) for racer in racers if racer not in course.left])
    seen = np.array(fields[: course.crops])
    means = [values[ended, : course.crops][:, seen == each].mean(axis=1) for each in np.unique(seen)]
    return _Outcome(int(ended[np.mean(means, axis=0).argmax()]), ran, bool(course.tied))


def _halved(values: NDArray[np.float64], first: int) -> _Outcome:
    """Keep the better half after every round, each twice as long as the one before."""
    left, ran, goal = np.arange(len(values)), np.zeros(len(values), np.int64), first
    while len(left) > 1:
        goal = min(goal, values.shape[1])
        ran[left] = goal
        order = np.argsort(-values[left, :goal].mean(axis=1), kind="stable")
        left, goal = left[order[: (len(left) + 1) // 2]], goal * 2
    return _Outcome(int(left[0]), ran, tied=False)


class _Judged(NamedTuple):
    """What one choice cost, as shares of the exhaustive assessment, and what it lost."""

    cost: float
    time: float
    regret: float
    truth_lost: float
    tied: bool


def _judged(
    outcome: _Outcome,
    values: NDArray[np.float64],
    seconds: NDArray[np.float64],
    truth: NDArray[np.float64],
) -> _Judged:
    means, ran, winner = values.mean(axis=1), outcome.ran, outcome.winner
    return _Judged(
        cost=float(ran.sum()) / values.size,
        time=float(ran @ seconds) / (seconds.sum() * values.shape[1]),
        regret=float(means.max() - means[winner]),
        truth_lost=float(truth[means.argmax()] - truth[winner]),
        tied=outcome.tied,
    )


def _over(how: How, networks: int, judged: Sequence[_Judged], tie: float) -> Replayed:
    regrets = np.array([each.regret for each in judged])
    lost = np.array([each.truth_lost for each in judged])
    costs = [each.cost for each in judged]
    told = not np.isnan(lost).any()
    return Replayed(
        how=how,
        networks=networks,
        seeds=len(judged),
        cost_mean=float(np.mean(costs)),
        cost_max=max(costs),
        time_mean=float(np.mean([each.time for each in judged])),
        same_winner=float((regrets == 0).mean()),
        right=float((regrets <= tie).mean()),
        worst_regret=float(regrets.max()),
        tied=float(np.mean([each.tied for each in judged])),
        truth_near=float((lost <= NEAR_TIE["dB"]).mean()) if told else None,
        truth_worst=float(lost.max()) if told else None,
    )
