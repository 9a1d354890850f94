"""The round loop with sites in memory: who is waited for, who counts, and what a crash costs: nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from coordinator.federation import accepted_updates, checkpoint, claim, plan, rounds
from coordinator.federation.checkpoint import read_checkpoint, read_weights
from coordinator.federation.claim import Claim, Superseded
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.joining import Contribution, aggregate
from coordinator.federation.memory_fleet import Answer, MemoryFleet, Site
from coordinator.federation.plan import (
    START_FILE,
    FederationOutcome,
    FederationPlan,
    Refusal,
    read_outcome,
    read_plan,
)
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport

from . import sites
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
    report_of,
    silent,
    update_of,
)


def run(
    folder: Path, fleet: MemoryFleet | dict[str, Site], clock: ManualClock | None = None
) -> FederationOutcome:
    fleet = fleet if isinstance(fleet, MemoryFleet) else MemoryFleet(fleet)
    return rounds.run(read_plan(folder), fleet, folder, (clock or ManualClock()).clock)


def result(folder: Path) -> dict[str, bytes]:
    """Bytes of the final weights."""
    outcome = read_outcome(folder)
    assert outcome is not None
    assert outcome.weights is not None, outcome.cause
    return {key: array.tobytes() for key, array in read_weights(folder / outcome.weights).items()}


def folder_of(path: Path, name: str, **changes: object) -> Path:
    (path / name).mkdir()
    found(path / name, **changes)
    return path / name


def expected(plan: FederationPlan, members: dict[str, Site]) -> Weights:
    """The rounds as a formula."""
    weights = WEIGHTS
    for number in range(1, plan.rounds + 1):
        answers = {key: site(plan.adaptation(number), weights) for key, site in members.items()}
        contributions = {}
        for key, (update, report) in answers.items():
            examples = AdaptationReport.model_validate_json(report).examples
            contributions[key] = Contribution(examples, lambda update=update: update)
        weights = aggregate(weights, contributions).network
    return weights


def test_three_rounds_are_three_means_of_updates(tmp_path: Path):
    plan = found(tmp_path)
    outcome = run(tmp_path, good_sites())
    assert (outcome.state, outcome.cause) == ("completed", None)
    assert [record.number for record in outcome.rounds] == [1, 2, 3]
    formula = expected(plan, good_sites())
    assert result(tmp_path) == {key: array.tobytes() for key, array in formula.items()}


def test_a_record_says_who_took_part_with_what(tmp_path: Path):
    plan = found(tmp_path)
    record = run(tmp_path, good_sites()).rounds[0]
    assert record.eligible == record.contributed == ("ashby", "boreal", "cortex", "delta")
    assert (record.refused, record.clipped, record.attempt) == ((), (), 1)
    assert record.examples == {"ashby": 8, "boreal": 9, "cortex": 10, "delta": 11}
    assert record.fields[CORTEX] == ("field-2",)
    sent = sum(array.nbytes for array in WEIGHTS.values())
    assert record.bytes_down == 4 * (sent + len(plan.adaptation(1).model_dump_json()))
    reports = [adapting(seed)(plan.adaptation(1), WEIGHTS)[1] for seed in range(4)]
    assert record.bytes_up == 4 * sent + sum(map(len, reports))


def test_the_folder_ends_with_the_outcome_and_no_updates_of_single_sites(tmp_path: Path):
    found(tmp_path)
    outcome = run(tmp_path, good_sites())
    assert read_outcome(tmp_path) == outcome
    assert read_checkpoint(tmp_path).rounds == outcome.rounds
    assert list(tmp_path.glob("accepted-*")) == []


def test_rounds_that_have_ended_are_not_run_again(tmp_path: Path):
    found(tmp_path)
    outcome = run(tmp_path, good_sites())
    fleet = MemoryFleet(good_sites())
    assert run(tmp_path, fleet) == outcome
    assert fleet.asked == []


def changed(**changes: object) -> Site:
    """A site whose update has something wrong with it."""

    def answer(plan: AdaptationPlan, weights: Weights) -> Answer:
        arrays = {key: value for key, value in changes.items() if key in weights or key == "evil"}
        others = {key: value for key, value in changes.items() if key not in arrays}
        return update_of(weights, 1) | arrays, report_of(plan, **others)

    return answer


def unlike(plan: AdaptationPlan, weights: Weights) -> Answer:
    return {key: np.zeros((2, 2), np.float32) for key in weights}, report_of(plan)


HOSTILE: dict[str, tuple[Site, str]] = {
    "NaN": (changed(**{"head.bias": np.array(np.nan, np.float32)}), "NaN or infinity in head.bias"),
    "shape": (unlike, "expected (4, 1, 3, 3)"),
    "keys": (changed(evil=np.zeros(1, np.float32)), "1 unknown (evil)"),
    "weight of 1e12": (changed(examples=10**12), "states 1000000000000 examples"),
    "old answer": (changed(number=99), "answered for round 99"),
    "error": (lambda plan, weights: "desk: no frames", "no update: desk: no frames"),
    "silence": (silent, "no reply within 600 s"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_site_that_misbehaves_is_dropped_with_the_cause_and_changes_nothing(tmp_path: Path, case: str):
    site, cause = HOSTILE[case]
    with_it, without = folder_of(tmp_path, "with"), folder_of(tmp_path, "without")
    outcome = run(with_it, good_sites() | {DELTA: site})
    run(without, {key: site for key, site in good_sites().items() if key != DELTA})
    assert outcome.state == "completed"
    for record in outcome.rounds:
        assert record.contributed == ("ashby", "boreal", "cortex")
        assert record.eligible == ("ashby", "boreal", "cortex", "delta")
        [refusal] = record.refused
        assert refusal.site == "delta"
        assert cause in refusal.cause
    assert result(with_it) == result(without)


def test_a_silent_site_costs_the_deadline_and_no_more(tmp_path: Path):
    found(tmp_path, rounds=1)
    [record] = run(tmp_path, good_sites() | {DELTA: silent}).rounds
    assert 600 <= record.seconds < 601
    assert record.train_seconds == 1.5


def test_training_cannot_have_taken_longer_than_the_round(tmp_path: Path):
    found(tmp_path, rounds=1)
    [record] = run(tmp_path, good_sites() | {DELTA: changed(train_s=1e12)}).rounds
    assert record.train_seconds <= record.seconds


def test_a_large_update_is_clipped_and_named(tmp_path: Path):
    found(tmp_path, rounds=1)

    def large(plan: AdaptationPlan, weights: Weights) -> Answer:
        return update_of(weights, 1, size=0.4), report_of(plan)

    [record] = run(tmp_path, good_sites() | {DELTA: large}).rounds
    assert record.clipped == ("delta",)
    assert "delta" in record.contributed


def test_two_instruments_of_one_site_add_their_examples(tmp_path: Path):
    members = ({"instrument_id": ASHBY, "site": "x"}, {"instrument_id": BOREAL, "site": "x"})
    found(tmp_path, members=members, quorum=2, rounds=1)
    [record] = run(tmp_path, good_sites()).rounds
    assert record.examples == {"x": 17}


class TimedFleet(MemoryFleet):
    """A fleet whose sites come online at given times."""

    def __init__(self, clock: ManualClock, online_from: dict[str, float]) -> None:
        super().__init__(good_sites())
        self._clock, self._from = clock, online_from

    def online(self) -> frozenset[str]:
        return frozenset(key for key, moment in self._from.items() if moment <= self._clock.now)


def timed(*seconds: float) -> tuple[ManualClock, TimedFleet]:
    clock = ManualClock()
    return clock, TimedFleet(clock, {key: clock.now + s for key, s in zip(MEMBERS, seconds, strict=False)})


def test_the_first_round_waits_for_everybody(tmp_path: Path):
    found(tmp_path)
    clock, fleet = timed(0, 5, 30, 100)
    outcome = run(tmp_path, fleet, clock)
    assert len(outcome.rounds[0].contributed) == 4
    assert outcome.rounds[0].seconds < 1


def test_but_no_longer_than_agreed(tmp_path: Path):
    found(tmp_path)
    clock, fleet = timed(0, 5, 30, 121.5)
    outcome = run(tmp_path, fleet, clock)
    assert [len(record.contributed) for record in outcome.rounds] == [3, 3, 3]
    assert clock.slept
    assert outcome.rounds[0].refused == ()


def test_without_a_quorum_the_federation_fails_and_says_so(tmp_path: Path):
    found(tmp_path)
    clock, fleet = timed(0, 5)
    began = clock.now
    outcome = run(tmp_path, fleet, clock)
    assert outcome.state == "failed"
    assert outcome.cause.startswith(
        "round 1: expected at least 3 of 4 members online within 120 s, found 2 (ashby, boreal)"
    )
    assert clock.now - began < 121
    assert fleet.asked == []


def test_a_stranger_online_is_not_asked(tmp_path: Path):
    found(tmp_path)
    fleet = MemoryFleet(good_sites() | {"stranger-9z": silent})
    assert run(tmp_path, fleet).state == "completed"
    assert {key for _, key in fleet.asked} == set(MEMBERS)


def failing_first(site: Site, times: int = 1) -> Site:
    left = [times]

    def answer(plan: AdaptationPlan, weights: Weights) -> Answer:
        left[0] -= 1
        return "trainer died" if left[0] >= 0 else site(plan, weights)

    return answer


def test_a_round_without_a_quorum_is_tried_once_more_with_those_that_are_missing(tmp_path: Path):
    plan = found(tmp_path, rounds=1)
    members = good_sites()
    fleet = MemoryFleet(members | {CORTEX: failing_first(members[CORTEX]), DELTA: lambda plan, weights: "no"})
    outcome = run(tmp_path, fleet)
    [record] = outcome.rounds
    assert record.attempt == 2
    assert record.contributed == ("ashby", "boreal", "cortex")
    assert record.refused == (Refusal(site="delta", cause="no update: no"),)
    assert sorted(fleet.asked) == [(1, ASHBY), (1, BOREAL), (1, CORTEX), (1, CORTEX), (1, DELTA), (1, DELTA)]
    formula = expected(plan, {key: members[key] for key in (ASHBY, BOREAL, CORTEX)})
    assert result(tmp_path) == {key: array.tobytes() for key, array in formula.items()}


def test_and_then_the_federation_fails_with_every_cause(tmp_path: Path):
    found(tmp_path)

    def gives_up(plan: AdaptationPlan, weights: Weights) -> Answer:
        return adapting(2)(plan, weights) if plan.number == 1 else "disk full"

    outcome = run(tmp_path, good_sites() | {CORTEX: gives_up, DELTA: silent})
    assert outcome.state == "failed"
    assert outcome.weights is None
    assert outcome.cause == (
        "round 2: expected at least 3 updates that can be used, found 2 after 2 attempts; "
        "cortex: no update: disk full; delta: no reply within 600 s"
    )
    assert [record.number for record in outcome.rounds] == [1, 2]
    assert outcome.rounds[1].contributed == ("ashby", "boreal")


def test_without_weights_to_start_from_the_federation_fails(tmp_path: Path):
    found(tmp_path)
    (tmp_path / START_FILE).write_bytes(b"")
    outcome = run(tmp_path, good_sites())
    assert outcome.state == "failed"
    assert "expected weights" in outcome.cause


class Repeating(MemoryFleet):
    """A fleet that delivers every reply three times, and once more for those not asked about."""

    def replies(self, waiting: Sequence[str]) -> list[Reply]:
        found = super().replies(waiting)
        strange = [Reply("message-none", reply.update, reply.report) for reply in found]
        return found * 3 + strange


def test_a_reply_that_comes_again_counts_once(tmp_path: Path):
    once, often = folder_of(tmp_path, "once"), folder_of(tmp_path, "often")
    assert run(often, Repeating(good_sites())).rounds == run(once, good_sites()).rounds
    assert result(often) == result(once)


class Killed(BaseException):
    """Stands for kill -9: nothing after it is executed."""


def dying(monkeypatch: pytest.MonkeyPatch, write: int, *, before: bool) -> list[int]:
    """Die at the n-th durable write, before or after it."""
    count = [0]

    def watched(real: Callable[..., None]) -> Callable[..., None]:
        def writing(*arguments: object, **named: object) -> None:
            count[0] += 1
            if count[0] == write and before:
                raise Killed
            real(*arguments, **named)
            if count[0] == write and not before:
                raise Killed

        return writing

    for module in (accepted_updates, checkpoint, claim, plan):
        monkeypatch.setattr(module, "write_durably", watched(module.write_durably))
    return count


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_at_any_write_the_rounds_end_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
):
    undisturbed = folder_of(tmp_path, "undisturbed")
    with monkeypatch.context() as patch:
        writes = dying(patch, 0, before=before)
        run(undisturbed, good_sites())
    # A claim; four updates, weights and a checkpoint in each round; the outcome.
    assert writes == [1 + 3 * (4 + 2) + 1]
    for write in range(1, writes[0] + 1):
        folder = folder_of(tmp_path, f"killed-{write}")
        first, second = MemoryFleet(good_sites()), MemoryFleet(good_sites())
        with monkeypatch.context() as patch:
            dying(patch, write, before=before)
            with pytest.raises(Killed):
                run(folder, first)
        outcome = run(folder, second)
        assert outcome.state == "completed"
        assert result(folder) == result(undisturbed)
        assert list(folder.glob("accepted-*")) == []


@pytest.mark.parametrize("write", [2, 7, 8])
def test_after_a_kill_a_round_goes_on_without_whoever_was_lost_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
):
    found(tmp_path)
    with monkeypatch.context() as patch:
        # The first accepted update, the first checkpoint, the first update of round 2.
        dying(patch, write, before=False)
        with pytest.raises(Killed):
            run(tmp_path, good_sites())
    clock, fleet = timed(0, 0, 0, 10_000)
    began = clock.now
    outcome = run(tmp_path, fleet, clock)
    assert outcome.state == "completed"
    assert "delta" not in outcome.rounds[2].contributed
    assert clock.now - began < 60


def test_what_was_accepted_before_the_kill_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found(tmp_path, rounds=1)
    with monkeypatch.context() as patch:
        dying(patch, 3, before=False)
        with pytest.raises(Killed):
            run(tmp_path, good_sites())
    fleet = MemoryFleet(good_sites())
    [record] = run(tmp_path, fleet).rounds
    assert sorted(key for _, key in fleet.asked) == [CORTEX, DELTA]
    assert len(record.contributed) == 4


def test_a_process_that_was_replaced_writes_nothing_more(tmp_path: Path):
    found(tmp_path)
    before: list[bytes] = []

    def taken_over(plan: AdaptationPlan, weights: Weights) -> Answer:
        if plan.number == 2 and not before:
            Claim(tmp_path)
            before.append((tmp_path / "checkpoint.json").read_bytes())
        return adapting(3)(plan, weights)

    with pytest.raises(Superseded):
        run(tmp_path, good_sites() | {DELTA: taken_over})
    assert [(tmp_path / "checkpoint.json").read_bytes()] == before
    assert read_outcome(tmp_path) is None
    assert run(tmp_path, good_sites()).state == "completed"


class Lost(MemoryFleet):
    """A fleet whose engine is gone."""

    def online(self) -> frozenset[str]:
        raise ConnectionError("engine gone")


def test_a_lost_engine_ends_the_process_and_not_the_federation(tmp_path: Path):
    found(tmp_path)
    working = Claim(tmp_path)
    with pytest.raises(ConnectionError):
        run(tmp_path, Lost(good_sites()))
    assert read_outcome(tmp_path) is None
    working.check()


def test_a_real_process_killed_in_mid_round_again_and_again_comes_to_the_same_end(tmp_path: Path):
    undisturbed, killed = folder_of(tmp_path, "undisturbed"), folder_of(tmp_path, "killed")
    run(undisturbed, good_sites())
    command = [sys.executable, "-m", "tests.coordinator.federation.sites", str(killed), "0.03"]
    path = os.pathsep.join([str(Path(sites.__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    for round_ in (1, 2, 3):
        room = killed / f"accepted-{round_:02d}"
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": path})
        deadline = time.monotonic() + 60
        while len(list(room.glob("[!.]*"))) < 2:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        assert read_outcome(killed) is None
    assert run(killed, good_sites()).state == "completed"
    assert result(killed) == result(undisturbed)
