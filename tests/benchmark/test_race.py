"""The race: fewer runs than trying everything, the same winner, whatever the order of the networks."""

import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cases import Case, Truth
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.metrics import Metric
from benchmark.selection import Contender, race, select
from benchmark.selection.lag import lag
from benchmark.selection.race import in_order, run
from benchmark.selection.race_rules import RaceRules
from benchmark.selection.told import rows_of
from benchmark.selection.tolerance import near_tie
from model_library.errors import NonFinitePixels
from model_library.wire.methods import NetworkRef

NEAR = 0.05


def raced(table, *, crops, rules=None, names=None, fields=None):
    """Race the rows [racer, crop] of a table; returns the course and how often each score was asked for.

    Each crop is of a field of its own, where no `fields` are given.
    """
    fields = fields or [f"{number}" for number in range(crops)]
    names = names or [f"n{number}" for number in range(len(table))]
    asked = []

    def score(racer, place):
        asked.append((racer, place))
        value = table[int(racer[1:])][place]
        return value if np.isfinite(value) else None

    return run(names, fields, score, lambda _: NEAR, rules or RaceRules()), asked


def scores_of(means, spread, crops, seed):
    rng = np.random.default_rng(seed)
    content = rng.normal(0, 4, crops)
    return np.array(means)[:, None] + content + rng.normal(0, spread, (len(means), crops))


@settings(max_examples=60, deadline=None)
@given(
    means=st.lists(st.sampled_from(np.arange(20.0, 32.0, 0.5).tolist()), min_size=2, max_size=10),
    seed=st.integers(0, 10_000),
)
def test_networks_that_can_be_told_apart_are_never_confused(means, seed):
    table = scores_of(means, 0.05, 64, seed)
    course, _ = raced(table, crops=64)
    whole = {racer: np.mean(values) for racer, values in course.values.items() if racer not in course.left}
    chosen = int(max(whole, key=whole.__getitem__)[1:])
    assert table.mean(axis=1).max() - table[chosen].mean() <= NEAR


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(6)))
def test_the_order_of_the_networks_decides_nothing(seed, order):
    table = scores_of([30, 30.1, 29.8, 29, 28, 27], 0.5, 40, seed)
    names = [f"n{number}" for number in order]
    assert raced(table, crops=40, names=names)[0] == raced(table, crops=40)[0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 30), spread=st.sampled_from([0.0, 0.3, 5.0]))
def test_no_score_is_asked_for_twice_and_the_race_stops(seed, count, spread):
    _, asked = raced(scores_of([30, 29.9, 28], spread, count, seed), crops=count)
    assert len(asked) == len(set(asked)) <= 3 * count


def test_the_clearly_worse_leave_after_the_first_crops_and_equals_end_the_race():
    table = np.vstack([np.full((2, 300), 30.0), np.full((10, 300), 25.0)])
    course, asked = raced(table, crops=300)
    assert course.crops == 8
    assert len(asked) == course.network_crops == 12 * 8
    assert set(course.left) == {f"n{number}" for number in range(2, 12)}
    assert course.left["n5"].gap == 5.0


def test_a_race_that_cannot_be_decided_runs_every_crop():
    course, _ = raced(scores_of([30, 30], 3.0, 30, 1), crops=30)
    assert course.crops == 30
    assert course.left == course.tied == {}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    networks=st.integers(2, 12),
    crops=st.integers(1, 200),
    spread=st.sampled_from([0.02, 0.5, 5.0]),
)
def test_a_race_never_costs_more_than_its_budget_and_calls_what_is_left_a_tie(seed, networks, crops, spread):
    course, asked = raced(scores_of(np.linspace(30, 29.5, networks), spread, crops, seed), crops=crops)
    rules = RaceRules()
    assert len(asked) <= rules.budget(networks, crops)
    for racer, behind in course.tied.items():
        assert course.crops < crops
        assert racer not in course.left
        assert behind.gap <= rules.errors * behind.error * 2
    if course.tied:
        assert rules.budget(networks, crops) - len(asked) <= len(course.tied)


def test_the_budget_is_a_share_of_the_whole_except_where_the_whole_is_cheap():
    rules = RaceRules()
    assert rules.budget(12, 160) == 0.15 * 12 * 160
    assert rules.budget(2, 53) >= 2 * 53
    assert rules.budget(5, 20) >= 5 * 8


def fields_apart(seed, networks=(30.0, 29.9), fields=20, each=8):
    """Scores whose difference is another in every field, but hardly varies within one; in racing order."""
    rng = np.random.default_rng(seed)
    where = np.concatenate([rng.permutation(fields) for _ in range(each)])
    moved = rng.normal(0, 1.0, (len(networks), fields))
    moved -= moved.mean(axis=1, keepdims=True)
    table = np.array(networks)[:, None] + moved[:, where]
    return table + rng.normal(0, 0.02, table.shape), [f"f{number}" for number in where]


def test_what_differs_between_fields_is_no_doubt_once_every_field_was_seen():
    table, fields = fields_apart(3)
    course, _ = raced(table, crops=160, fields=fields)
    assert course.crops <= 28
    assert set(course.left) == {"n1"}
    assert raced(table, crops=160)[0].tied


@pytest.mark.parametrize("count", [8, 28, 60])
def test_the_error_of_a_gap_is_how_far_it_is_from_that_over_all_crops(count):
    off = []
    for seed in range(300):
        table, fields = fields_apart(seed)
        found = lag(table[:, :count], fields)
        gap = (table.mean(axis=1)[found.leader] - table.mean(axis=1))[1 - found.leader]
        off.append((found.gaps[1 - found.leader] - gap) / found.errors[1 - found.leader])
    assert 0.8 < np.sqrt(np.mean(np.square(off))) < 1.3


def test_a_network_without_a_finite_score_is_out_at_once():
    table = scores_of([30, 31], 0.1, 20, 0)
    table[1, 3] = np.nan
    course, asked = raced(table, crops=20)
    assert course.failed == {"n1": 3}
    assert max(place for racer, place in asked if racer == "n1") == 3


class Blurring:
    """Adds a noise of its own, of this strength in counts."""

    scale = 1

    def __init__(self, network_id, sigma, breaks_on=None):
        self.ref = NetworkRef(id=network_id, version="1", weights_sha256="0" * 64)
        self.sigma, self.breaks_on, self.calls = sigma, breaks_on, 0

    def __call__(self, pixels):
        self.calls += 1
        if self.calls == self.breaks_on:
            raise NonFinitePixels("expected finite grey values, found NaN; do not use this network")
        rng = np.random.default_rng([abs(int(pixels.sum())), round(100 * self.sigma)])
        return pixels + rng.normal(0, self.sigma, pixels.shape).astype(np.float32)


@pytest.fixture
def cases():
    rng = np.random.default_rng(5)
    made = []
    for number in range(30):
        truth = rng.uniform(0, 100, (24, 24)).astype(np.float32)
        made.append(Case(f"f{number % 6}", f"{number}", truth, Truth.of(truth)))
    return made


def contenders():
    return [Contender(Blurring(f"s{sigma}", sigma), 10) for sigma in (1, 2, 4, 8)]


def test_a_race_is_an_assessment_that_spends_less(cases):
    spent = select(contenders(), cases, seed=3)
    whole = select(contenders(), cases, seed=3, assess=evaluate)
    assert spent.winner == whole.winner == "s1@1"
    assert [one.key for one in spent.ranking] == [one.key for one in whole.ranking]
    assert spent.cost.network_crops == 4 * 8 < spent.cost.of_network_crops == 4 * 30
    assert spent.cost.flops == 32 * 24 * 24 * 10
    assert whole.cost.network_crops == whole.cost.of_network_crops


def test_one_that_left_early_is_ranked_on_what_it_ran_and_says_why(cases):
    chosen = select(contenders(), cases, seed=3)
    last = chosen.ranking[-1]
    assert last.crops == 8
    assert last.left.startswith("left after 8 crops")
    assert not last.tied
    assert last.behind_best.fields >= 2
    assert last.ci95[0] < last.ci95[1]
    assert last.score == pytest.approx(chosen.ranking[0].score + last.behind_best.difference)


def test_a_race_that_spent_its_budget_calls_a_tie_a_tie_and_says_how_far_it_came():
    rng = np.random.default_rng(5)
    truths = [rng.uniform(0, 100, (24, 24)).astype(np.float32) for _ in range(120)]
    cases = [Case(f"f{number}", f"{number}", truth, Truth.of(truth)) for number, truth in enumerate(truths)]
    alike = [Contender(Blurring(f"s{sigma}", sigma), 10) for sigma in (2, 2.01, 2.02, 2.03, 2.04)]
    chosen = select(alike, cases, seed=3)
    assert chosen.cost.network_crops <= RaceRules().budget(5, 120) < chosen.cost.of_network_crops
    undecided = chosen.scores.undecided
    assert undecided
    assert chosen.winner == chosen.ranking[0].key
    assert "the race's budget was spent on a tie with" in chosen.reason
    assert chosen.reason.endswith("decided by the mean")
    for row in rows_of(chosen, {}):
        if row.network in undecided and row.network != chosen.winner:
            assert row.reason == undecided[row.network]
            assert re.fullmatch(
                r"a tie with s\S+: the race's budget was spent after \d+ crops,"
                r" difference [-+]\d\.\d{4} dB \[-\d\.\d{4}, \+\d\.\d{4}\]",
                row.reason,
            )


def test_leaders_wait_for_the_field_that_decides():
    rng = np.random.default_rng(1)
    fields = [f"f{number % 20}" for number in range(160)]
    table = np.array([20.0, 19.9, *np.full(11, 15.0)])[:, None] + rng.normal(0, 0.08, (13, 160))
    table[1, 19::20] += 5.0
    course, _ = raced(table, crops=160, fields=fields)
    assert course.left["n0"].crops > 20
    assert course.left["n2"].crops == 8
    hasty, _ = raced(table, crops=160, fields=fields, rules=RaceRules(leaders=1))
    assert "n1" in hasty.left


def test_the_same_seed_repeats_the_decision_and_another_draws_other_crops(cases):
    def record(seed, given):
        return select(contenders(), given, seed=seed).model_dump(
            exclude={"scores": {"seconds"}, "ranking": ...}
        )

    assert record(3, cases) == record(3, cases[::-1])
    assert record(3, cases)["scores"]["names"] != record(4, cases)["scores"]["names"]


def test_a_network_that_fails_is_left_out_with_its_reason(cases):
    fails = Contender(Blurring("broken", 0.5, breaks_on=3), 1)
    chosen = select([*contenders(), fails], cases, seed=3)
    assert "do not use this network" in chosen.excluded["broken@1"]
    assert chosen.scores.runs["broken@1"] == 3
    assert fails.method.calls == 3


def test_every_field_is_seen_before_any_is_seen_again(cases):
    ordered = in_order(cases, 1)
    assert sorted(case.name for case in ordered) == sorted(case.name for case in cases)
    for start in range(0, 30, 6):
        assert len({case.field for case in ordered[start : start + 6]}) == 6


def test_nothing_to_race_is_refused(cases):
    with pytest.raises(BenchmarkError, match="found 0 cases"):
        partial(race, seed=1)([Blurring("a", 1)], [])
    with pytest.raises(BenchmarkError, match="name each version once"):
        race([Blurring("a", 1), Blurring("a", 1)], cases)


def test_a_near_tie_is_counted_in_the_metrics_own_unit():
    assert near_tie(Metric.PSNR, [], [30.0]) == 0.05
    assert near_tie(Metric.DICE, [], [0.8]) == 0.002
    assert near_tie(Metric.FRAME_RISK, [], [0.01]) == pytest.approx(0.01 * 0.01158, rel=1e-3)
