"""Who is asked and who is not, whatever the algorithm: late ones, drawn ones, busy ones, liars."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from coordinator.federation import rounds
from coordinator.federation.checkpoint import read_checkpoint, read_weights
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.memory_fleet import Answer, MemoryFleet, Site
from coordinator.federation.offences import offences, quarantined
from coordinator.federation.plan import FederationOutcome, FederationPlan, Member, Refusal
from coordinator.settings.algorithms import (
    Algorithm,
    FedAdam,
    FedAvg,
    FedBuff,
    Median,
    MultiKrum,
    TrimmedMean,
)
from model_library.cards.adaptation import AdaptationPlan

from .sites import (
    ASHBY,
    BOREAL,
    CORTEX,
    DELTA,
    MEMBERS,
    WEIGHTS,
    ManualClock,
    adapting,
    found,
    good_sites,
    plan_of,
    report_of,
    update_of,
)


def run(folder: Path, fleet: MemoryFleet, plan: FederationPlan, clock: ManualClock) -> FederationOutcome:
    return rounds.run(plan, fleet, folder, clock.clock)


def final(folder: Path, outcome: FederationOutcome) -> dict[str, np.ndarray]:
    assert outcome.weights is not None, outcome.cause
    return read_weights(folder / outcome.weights)


class TimedFleet(MemoryFleet):
    """Sites that come online at given times, and answer some seconds after they were asked."""

    def __init__(
        self, clock: ManualClock, sites: dict[str, Site], *, online: dict[str, float], takes: dict[str, float]
    ) -> None:
        super().__init__(sites)
        self._clock, self._began = clock, clock.now
        self._online, self._takes = online, takes
        self._due: dict[str, float] = {}
        self.deadlines: list[float] = []

    def online(self) -> frozenset[str]:
        now = self._clock.now - self._began
        return frozenset(key for key in self.sites if self._online.get(key, 0.0) <= now)

    def send(self, plan: AdaptationPlan, weights: Weights, to: Sequence[str], ttl_s: float) -> dict[str, str]:
        self.deadlines.append(plan.deadline_s)
        sent = super().send(plan, weights, to, ttl_s)
        for message_id, instrument_id in sent.items():
            self._due[message_id] = self._clock.now + self._takes.get(instrument_id, 0.0)
        return sent

    def replies(self, waiting: Sequence[str]) -> list[Reply]:
        return super().replies([key for key in waiting if self._due[key] <= self._clock.now])


# Late and drawn


def test_who_comes_late_is_asked_while_enough_time_is_left(tmp_path: Path):
    plan, clock = found(tmp_path, rounds=1, assemble_s=10.0), ManualClock()
    fleet = TimedFleet(clock, good_sites(), online={DELTA: 100.0}, takes={ASHBY: 200.0})
    [record] = run(tmp_path, fleet, plan, clock).rounds
    assert record.contributed == ("ashby", "boreal", "cortex", "delta")
    # Less time is left for it than for the others.
    assert fleet.deadlines[0] == 600.0
    assert 490.0 < fleet.deadlines[1] < 520.0


def test_but_not_in_the_second_half_of_the_round(tmp_path: Path):
    plan, clock = found(tmp_path, rounds=1, assemble_s=10.0), ManualClock()
    fleet = TimedFleet(clock, good_sites(), online={DELTA: 400.0}, takes={ASHBY: 500.0})
    [record] = run(tmp_path, fleet, plan, clock).rounds
    assert record.contributed == ("ashby", "boreal", "cortex")
    assert record.absent == (Refusal(site="delta", cause="was not online"),)


def test_every_member_is_told_of_as_contributed_refused_or_absent(tmp_path: Path):
    plan, clock = found(tmp_path, rounds=1, quorum=2, assemble_s=10.0), ManualClock()
    sites = good_sites() | {CORTEX: lambda plan, weights: "disk full"}
    fleet = TimedFleet(clock, sites, online={DELTA: 1e9}, takes={})
    [record] = run(tmp_path, fleet, plan, clock).rounds
    assert record.contributed == ("ashby", "boreal")
    assert record.refused == (Refusal(site="cortex", cause="no update: disk full"),)
    assert record.absent == (Refusal(site="delta", cause="was not online"),)


def members_of(count: int) -> tuple[Member, ...]:
    return tuple(Member(instrument_id=f"i{place:02d}", site=f"s{place:02d}") for place in range(count))


def crowd(count: int) -> dict[str, Site]:
    return {member.instrument_id: adapting(place) for place, member in enumerate(members_of(count))}


def test_a_fraction_of_the_members_is_drawn_anew_in_each_round(tmp_path: Path):
    plan = found(tmp_path, members=members_of(20), quorum=3, fraction=0.25, rounds=8)
    outcome = run(tmp_path, MemoryFleet(crowd(20)), plan, ManualClock())
    drawn = [record.contributed for record in outcome.rounds]
    assert {len(each) for each in drawn} == {5}
    assert len(set(drawn)) == 8
    assert {each.cause for each in outcome.rounds[0].absent} == {"was not drawn for this round"}
    assert len(outcome.rounds[0].absent) == 15


def test_never_fewer_than_the_quorum_are_drawn_and_all_where_it_falls_short(tmp_path: Path):
    plan = found(tmp_path, members=members_of(10), quorum=3, fraction=0.1, rounds=2)
    sites = crowd(10)
    for key in ("i00", "i01", "i02", "i03", "i04", "i05"):
        sites[key] = lambda plan, weights: "busy"
    outcome = run(tmp_path, MemoryFleet(sites), plan, ManualClock())
    assert outcome.state == "completed"
    assert all(len(record.contributed) >= 3 for record in outcome.rounds)


# Liars


def attack(change: Callable[[Weights, Weights], Weights], **report: object) -> Site:
    def answer(plan: AdaptationPlan, weights: Weights) -> Answer:
        honest, _ = adapting(7)(plan, weights)
        return change(honest, weights), report_of(plan, **report)

    return answer


ATTACKS: dict[str, Site] = {
    "NaN": attack(lambda honest, _: {key: np.full_like(a, np.nan) for key, a in honest.items()}),
    "shape": attack(lambda honest, _: {key: a[None] for key, a in honest.items()}),
    "key": attack(lambda honest, _: {f"x{key}": a for key, a in honest.items()}),
    "weight": attack(lambda honest, _: honest, examples=10**12),
    "x -100": attack(lambda honest, _: {key: np.asarray(-100 * a) for key, a in honest.items()}),
}


@pytest.mark.parametrize("case", ATTACKS)
def test_forty_sites_with_one_that_lies_go_on_with_thirty_nine(tmp_path: Path, case: str):
    with_it, without = tmp_path / "with", tmp_path / "without"
    results = []
    for folder, sites in ((with_it, crowd(40) | {"i07": ATTACKS[case]}), (without, crowd(40))):
        folder.mkdir()
        if folder is without:
            del sites["i07"]
        plan = found(folder, members=members_of(40), quorum=30, rounds=1)
        outcome = run(folder, MemoryFleet(sites), plan, ManualClock())
        assert len(outcome.rounds[0].contributed) == 39
        results.append(final(folder, outcome))
    assert all(results[0][key].tobytes() == results[1][key].tobytes() for key in WEIGHTS)


@pytest.mark.parametrize("case", ATTACKS)
def test_whoever_lies_again_and_again_is_asked_no_more(tmp_path: Path, case: str):
    plan = found(tmp_path, rounds=5, quarantine_after=2)
    fleet = MemoryFleet(good_sites() | {DELTA: ATTACKS[case]})
    outcome = run(tmp_path, fleet, plan, ManualClock())
    assert outcome.state == "completed"
    assert [record.offenders for record in outcome.rounds] == [(DELTA,), (DELTA,), (), (), ()]
    assert outcome.rounds[3].absent == (Refusal(site="delta", cause="is in quarantine"),)
    assert [number for number, key in fleet.asked if key == DELTA] == [1, 2]


def test_whoever_is_in_quarantine_does_not_come_late_either(tmp_path: Path):
    plan, clock = found(tmp_path, rounds=3, quarantine_after=1), ManualClock()
    fleet = TimedFleet(clock, good_sites() | {DELTA: ATTACKS["NaN"]}, online={}, takes={ASHBY: 30.0})
    outcome = run(tmp_path, fleet, plan, clock)
    assert [number for number, key in fleet.asked if key == DELTA] == [1]
    assert outcome.rounds[2].absent == (Refusal(site="delta", cause="is in quarantine"),)


def test_an_update_taken_up_after_a_crash_is_not_asked_for_as_if_it_came_late(tmp_path: Path):
    plan, clock = found(tmp_path, rounds=1), ManualClock()

    class Ends(BaseException):
        pass

    broken = TimedFleet(clock, good_sites(), online={}, takes={DELTA: 40.0})
    replies = broken.replies

    def ending(waiting: Sequence[str]) -> list[Reply]:
        if clock.now - broken._began > 20:
            raise Ends
        return replies(waiting)

    broken.replies = ending
    with pytest.raises(Ends):
        run(tmp_path, broken, plan, clock)
    fleet = TimedFleet(clock, good_sites(), online={}, takes={DELTA: 40.0})
    run(tmp_path, fleet, plan, clock)
    assert fleet.asked == [(1, DELTA)]


def test_a_site_in_trouble_is_not_a_liar(tmp_path: Path):
    plan = found(tmp_path, rounds=4, quarantine_after=2)
    fleet = MemoryFleet(good_sites() | {DELTA: lambda plan, weights: "disk full"})
    outcome = run(tmp_path, fleet, plan, ManualClock())
    assert [record.offenders for record in outcome.rounds] == [()] * 4
    assert len([1 for _, key in fleet.asked if key == DELTA]) == 4


def test_offences_of_earlier_federations_count_until_they_are_lifted():
    plan = plan_of(members=(Member(instrument_id=ASHBY, site="a", offences=3), *plan_of().members[1:]))
    assert quarantined(plan, []) == {ASHBY}
    assert quarantined(plan.model_copy(update={"quarantine_after": 4}), []) == set()


def test_offences_before_a_lift_are_forgotten(tmp_path: Path):
    plan, clock = found(tmp_path, rounds=3), ManualClock()
    outcome = run(tmp_path, MemoryFleet(good_sites() | {DELTA: ATTACKS["NaN"]}), plan, clock)
    assert offences(outcome.rounds) == {DELTA: 3}
    after = outcome.rounds[1].started_at + 1e-9
    later = sum(record.started_at >= after for record in outcome.rounds)
    assert offences(outcome.rounds, {DELTA: after})[DELTA] == later


# Algorithms in the loop

ALGORITHMS: tuple[Algorithm, ...] = (
    FedAvg(),
    FedAdam(),
    TrimmedMean(),
    Median(),
    MultiKrum(byzantine=0),
    FedBuff(buffer=3),
)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=[each.kind for each in ALGORITHMS])
def test_a_process_that_ends_after_any_round_changes_nothing(tmp_path: Path, algorithm: Algorithm):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    plan = found(whole, algorithm=algorithm, rounds=4)
    expected = final(whole, run(whole, MemoryFleet(good_sites()), plan, ManualClock()))
    found(broken, algorithm=algorithm, rounds=4)

    class Ends(BaseException):
        pass

    def ending(after: int) -> dict[str, Site]:
        def end(plan: AdaptationPlan, weights: Weights) -> Answer:
            if plan.number > after:
                raise Ends
            return adapting(0)(plan, weights)

        return good_sites() | {ASHBY: end}

    for after in (1, 2, 3):
        with pytest.raises(Ends):
            run(broken, MemoryFleet(ending(after)), plan, ManualClock())
        assert read_checkpoint(broken).completed == after
    found_ = final(broken, run(broken, MemoryFleet(good_sites()), plan, ManualClock()))
    assert all(found_[key].tobytes() == expected[key].tobytes() for key in WEIGHTS)


def test_a_checkpoint_whose_optimiser_is_damaged_is_none(tmp_path: Path):
    plan = found(tmp_path, algorithm=FedAdam(), rounds=2)
    run(tmp_path, MemoryFleet(good_sites()), plan, ManualClock())
    (tmp_path / read_checkpoint(tmp_path).state).write_bytes(b"")
    assert read_checkpoint(tmp_path) is None


def test_a_plan_whose_quorum_is_too_small_for_its_algorithm_is_refused():
    with pytest.raises(ValueError, match="quorum of at least 5 for multi_krum, found 4"):
        plan_of(quorum=4, algorithm=MultiKrum(byzantine=1))
    with pytest.raises(ValueError, match="buffer of at most 4 updates, found 5"):
        plan_of(algorithm=FedBuff(buffer=5))


# Buffered


def test_buffered_rounds_do_not_wait_for_a_busy_site_whose_update_counts_later(tmp_path: Path):
    plan, clock = found(tmp_path, algorithm=FedBuff(buffer=3, most_stale=4), rounds=4), ManualClock()
    fleet = TimedFleet(clock, good_sites(), online={}, takes={ASHBY: 10, BOREAL: 10, CORTEX: 10, DELTA: 25})
    outcome = run(tmp_path, fleet, plan, clock)
    assert [record.contributed for record in outcome.rounds] == [
        ("ashby", "boreal", "cortex"),
        ("ashby", "boreal", "cortex"),
        ("ashby", "boreal", "cortex", "delta"),
        ("ashby", "boreal", "cortex"),
    ]
    assert all(record.seconds <= 12 for record in outcome.rounds)
    assert outcome.rounds[0].absent == (Refusal(site="delta", cause="is at work on round 1"),)
    assert [number for number, key in fleet.asked if key == DELTA] == [1, 4]


def test_an_update_that_is_too_old_does_not_count_and_is_no_lie(tmp_path: Path):
    plan, clock = found(tmp_path, algorithm=FedBuff(buffer=3, most_stale=1), rounds=4), ManualClock()
    fleet = TimedFleet(clock, good_sites(), online={}, takes={ASHBY: 10, BOREAL: 10, CORTEX: 10, DELTA: 25})
    outcome = run(tmp_path, fleet, plan, clock)
    refused = [each.cause for record in outcome.rounds for each in record.refused]
    assert refused == ["its update is 2 rounds old; expected at most 1"]
    assert all(record.offenders == () for record in outcome.rounds)


def test_a_buffered_round_that_does_not_fill_fails_with_its_causes(tmp_path: Path):
    plan, clock = found(tmp_path, algorithm=FedBuff(buffer=4), rounds=1), ManualClock()
    fleet = MemoryFleet(good_sites() | {DELTA: lambda plan, weights: "disk full"})
    outcome = run(tmp_path, fleet, plan, clock)
    assert outcome.state == "failed"
    assert "expected at least 4 updates" in outcome.cause
    assert "delta: no update: disk full" in outcome.cause


# Norms


def test_an_update_of_some_times_the_usual_norm_is_scaled_down_to_three(tmp_path: Path):
    def larger(plan: AdaptationPlan, weights: Weights) -> Answer:
        return update_of(weights, 9, size=0.01 * 6), report_of(plan)

    def usual(seed: int) -> Site:
        return lambda plan, weights: (update_of(weights, seed), report_of(plan))

    plan = found(tmp_path, rounds=1)
    sites = {key: usual(place) for place, key in enumerate(MEMBERS)} | {DELTA: larger}
    [record] = run(tmp_path, MemoryFleet(sites), plan, ManualClock()).rounds
    assert record.clipped == ("delta",)
    assert record.usual_norm == pytest.approx(0.06, rel=0.2)


def test_what_is_usual_is_remembered_where_few_updates_come(tmp_path: Path):
    plan = found(tmp_path, rounds=3, quorum=2)
    calls = {"lie": 0}

    def lies_later(plan: AdaptationPlan, weights: Weights) -> Answer:
        calls["lie"] = plan.number
        return ATTACKS["x -100"](plan, weights) if plan.number == 3 else adapting(3)(plan, weights)

    def leaves(plan: AdaptationPlan, weights: Weights) -> Answer:
        return adapting(1)(plan, weights) if plan.number < 3 else "off"

    sites = good_sites() | {DELTA: lies_later, BOREAL: leaves, CORTEX: leaves}
    outcome = run(tmp_path, MemoryFleet(sites), plan, ManualClock())
    # Ashby alone remains in round 3: too few, but nothing of the lie came in.
    assert calls["lie"] == 3
    assert outcome.rounds[2].contributed == ("ashby",)
    assert outcome.rounds[2].offenders == (DELTA,)
