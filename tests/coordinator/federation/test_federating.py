"""A federation from the first look to its releases, with the round loop in memory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from benchmark.splits import Split
from coordinator import publishing
from coordinator.errors import CannotFederate, FederationOver, Forbidden, Unknown
from coordinator.federation.conducting import MOST_FRUITLESS_RUNS
from coordinator.federation.invitations import grant_fields, invitation_of
from coordinator.federation.membership import standings
from coordinator.federation.network import nearest_common, network_id, soup
from coordinator.federation.opening import open_due, open_on_demand
from coordinator.federation.overview import federations_told
from coordinator.federation.performing import PERFORMED, Performer
from coordinator.federation.records import Finding, Stage
from coordinator.store.values import Federation, Instrument, ReleasePurpose
from coordinator.workplace import Workplace
from model_library.signing.digests import sha256_bytes
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise, SuperResolve

from .microscopes import (
    BAD,
    BLUR,
    IMAGES,
    MEMBERS,
    MemoryEngine,
    beat,
    deliver,
    network,
    opened,
    weights_of,
)

GOOD = weights_of(0.0)
PROGRAM = Path(__file__).with_name("microscopes.py")

pytestmark = pytest.mark.timeout(120)


def begin(place: Workplace) -> Federation:
    """Open the federation that is due."""
    opened = open_due(place)
    assert opened is not None
    federation = place.federations.get(opened)
    assert federation is not None
    return federation


def perform(place: Workplace, engine: MemoryEngine) -> Federation:
    """Open the federation that is due and perform its stages, without a workflow around them."""
    performer, federation = Performer(place, engine), begin(place)
    for stage in PERFORMED:
        if performer.perform(federation.id, stage) is not None:
            break
    ended = place.federations.get(federation.id)
    assert ended is not None
    return ended


def test_what_the_rounds_made_is_released_where_it_passed(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    ended = perform(place, MemoryEngine(place.settings, GOOD))
    assert ended.stage == Stage.DONE, ended.events
    [told] = federations_told(place)
    assert [each["number"] for each in told["rounds"]] == [1, 2]
    assert all(each["contributed"] == ["ashby", "boreal", "cortex"] for each in told["rounds"])
    passed = {each["site"]: each["passed"] for each in told["gates"]}
    assert passed == {"ashby": True, "boreal": True, "cortex": True, "archive": False}
    given = {each["site"]: each["release_id"] for each in told["releases"]}
    assert given["archive"] is None
    assert told["took_no_part"] == ["archive"]
    for name in MEMBERS:
        current = place.releases.current(cohort[name].id)
        assert current is not None
        assert current.id == given[name]
        assert current.manifest.method.model_dump(mode="json") == told["network"]


def test_the_network_tells_its_descent_and_returns_to_the_library(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    perform(place, MemoryEngine(place.settings, GOOD))
    [told] = federations_told(place)
    made = told["network"]
    card = json.loads((place.settings.networks / made["weights_sha256"] / "card.json").read_text())
    assert card["id"] == "federated-denoise"
    assert card["version"] == f"1+{made['weights_sha256'][:8]}"
    assert card["lineage"]["parent_id"] == "tiny-8"
    assert card["lineage"]["campaign"] == told["id"]
    fields = set(card["lineage"]["tuned_fields"])
    assert {f"{cohort[name].id}/stage:{name}" for name in MEMBERS} <= fields
    assert any(field.startswith(f"{cohort['ashby'].id}/stage:1") for field in fields)
    assert not any(field.startswith(cohort["archive"].id) for field in fields)
    assert [each.ref.weights_sha256 for each in place.returned.for_task(Denoise())][-1] == made[
        "weights_sha256"
    ]


def test_the_gate_sits_on_gate_fields_that_nobody_was_tuned_on(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    deliver(place, cohort["ashby"], IMAGES + 5, ImagePurpose.BENCHMARK)
    perform(place, MemoryEngine(place.settings, GOOD))
    [federation] = place.federations.all()
    sitting = federation.findings[Finding.GATES][cohort["ashby"].id]
    splits = {each.field: each.split for each in place.images.of(cohort["ashby"].id)}
    judged = sitting["scores"]["fields"]
    assert {splits[field] for field in judged} == {Split.GATE}
    assert len(judged) == sum(split is Split.GATE for split in splits.values())
    assert sitting["verdict"]["look"] == 1


def test_where_a_classical_algorithm_serves_the_best_network_known_takes_part(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    ashby = cohort["ashby"]
    served = place.releases.current(ashby.id)
    assert served is not None
    refs = {"tuned": served.manifest.method, "blur": BLUR, "worse": network(place, "worse", weights_of(0.9))}
    gate = {
        "means": {"tuned": 20.0, "blur": 21.0, "worse": 19.0},
        "scores": {"refs": {name: each.model_dump(mode="json") for name, each in refs.items()}},
    }
    place.campaigns.find_out(f"campaign-{ashby.id}-1", "final_gate", gate)
    publishing.release_assigned(place, ashby, BLUR, ["it costs less"], "campaign-2", ReleasePurpose.FINAL)
    [standing] = [each for each in standings(place) if each.site == "ashby"]
    assert standing.network == served.manifest.method
    ended = perform(place, MemoryEngine(place.settings, GOOD))
    assert ended.findings[Finding.ROUNDS][0]["contributed"] == ["ashby", "boreal", "cortex"]
    assert ended.findings[Finding.GATES][ashby.id]["passed"]


def test_a_repeated_stage_changes_nothing(place: Workplace, cohort: dict[str, Instrument]) -> None:
    engine = MemoryEngine(place.settings, GOOD)
    first = perform(place, engine)
    releases = {name: place.releases.of(each.id) for name, each in cohort.items()}
    performer = Performer(place, engine)
    for stage in PERFORMED:
        assert performer.perform(first.id, stage) is None
    again = place.federations.get(first.id)
    assert again == first
    assert {name: place.releases.of(each.id) for name, each in cohort.items()} == releases
    assert len(engine.runs) == 1


def test_it_keeps_its_own_where_another_release_came_in_between(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    engine = MemoryEngine(place.settings, GOOD)
    performer = Performer(place, engine)
    federation = begin(place)
    for stage in (Stage.ASSEMBLING, Stage.ROUNDS, Stage.GATES):
        assert performer.perform(federation.id, stage) is None
    newer = serve_again(place, cohort["boreal"])
    assert performer.perform(federation.id, Stage.RELEASES) is None
    current = place.releases.current(cohort["boreal"].id)
    assert current is not None
    assert current.manifest.method == newer
    [told] = [each for each in federations_told(place)[0]["releases"] if each["site"] == "boreal"]
    assert "came in between" in told["reasons"][0]


def serve_again(place: Workplace, instrument: Instrument) -> NetworkRef:
    newer = network(place, "again", weights_of(0.1, 9))
    publishing.release_assigned(place, instrument, newer, ["newer"], "campaign-2", ReleasePurpose.FINAL)
    return newer


def test_an_instrument_whose_campaign_is_under_way_is_not_judged(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    performer = Performer(place, MemoryEngine(place.settings, GOOD))
    federation = begin(place)
    assert performer.perform(federation.id, Stage.ASSEMBLING) is None
    assert performer.perform(federation.id, Stage.ROUNDS) is None
    place.campaigns.enter(f"campaign-{cohort['cortex'].id}-1", "selecting a network")
    assert performer.perform(federation.id, Stage.GATES) is None
    [told] = [each for each in federations_told(place)[0]["gates"] if each["site"] == "cortex"]
    assert told["passed"] is False
    assert "campaign of its own" in told["reasons"][0]


def test_a_lost_run_is_followed_by_another(place: Workplace, cohort: dict[str, Instrument]) -> None:
    engine = MemoryEngine(place.settings, GOOD, failures=["cannot open", "killed", "killed again"])
    ended = perform(place, engine)
    assert ended.stage == Stage.DONE
    told = [event.text for event in ended.events]
    assert any("trouble" in text for text in told)
    assert "run 2 ended without an outcome: failed killed again" in told
    assert (engine.finished, len(engine.runs)) == (1, 3)


def test_runs_that_come_to_nothing_end_the_federation_with_a_cause(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    engine = MemoryEngine(place.settings, GOOD, failures=["no such bundle"] * MOST_FRUITLESS_RUNS)
    ended = perform(place, engine)
    assert ended.stage == Stage.FAILED
    failure = ended.findings[Finding.FAILURE]
    assert failure["stage"] == Stage.ROUNDS
    assert "no such bundle" in failure["reason"]
    assert engine.finished == 1
    assert open_due(place) is None, "it begins again with new frames only"


def test_too_few_contributions_end_it_with_the_cause_of_the_rounds(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    spoilt = {key: np.full_like(array, np.nan) for key, array in GOOD.items()}
    ended = perform(place, MemoryEngine(place.settings, spoilt))
    assert ended.stage == Stage.FAILED
    assert all(len(each["refused"]) == 3 for each in ended.findings[Finding.ROUNDS])
    [told] = federations_told(place)
    assert told["failure"]["reason"]
    assert [place.releases.current(each.id).campaign_id[:8] for each in cohort.values()] == ["campaign"] * 4  # type: ignore[union-attr]


def test_after_the_deadline_it_fails_with_a_named_cause(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    federation = begin(place)
    with opened(place.settings.data, lambda: time.time() + 1e6) as late:
        performer = Performer(late, MemoryEngine(place.settings, GOOD, seconds=60.0))
        assert performer.perform(federation.id, Stage.ASSEMBLING) is None
        failure = performer.perform(federation.id, Stage.ROUNDS)
    assert failure is not None
    assert "expected 2 rounds before the federation's deadline, found 0" in failure


def test_members_are_invited_while_the_rounds_last(place: Workplace, cohort: dict[str, Instrument]) -> None:
    federation = begin(place)
    assert invitation_of(place, cohort["ashby"]) is None
    place.federations.enter(federation.id, Stage.ROUNDS)
    place.federations.find_out(federation.id, Finding.RUNS, 1)
    invitation = invitation_of(place, cohort["ashby"])
    assert invitation is not None
    assert (invitation.federation_id, invitation.rounds) == (federation.id, 2)
    assert invitation.ends_in_s > 0
    assert invitation_of(place, cohort["archive"]) is None
    place.federations.enter(federation.id, Stage.GATES)
    assert invitation_of(place, cohort["ashby"]) is None


def test_a_site_trains_only_on_fields_granted_for_tuning(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    federation, ashby = begin(place), cohort["ashby"]
    known = {each.field: each.split for each in place.images.of(ashby.id)}
    new = [f"stage:new-{number}" for number in range(21)]
    granted = grant_fields(place, ashby, federation.id, [*known, *new]).tuning
    assert {field for field in granted if field in known} == {
        field for field, split in known.items() if split is Split.TUNING
    }
    assert len([field for field in granted if field in new]) == 9
    assert grant_fields(place, ashby, federation.id, new).tuning == tuple(
        field for field in granted if field in new
    )
    kept = next(field for field in new if field not in granted)
    assert deliver_field(place, ashby, kept) is not Split.TUNING


def deliver_field(place: Workplace, instrument: Instrument, field: str) -> Split:
    """Accept an image of a field of view and tell its split."""
    from .microscopes import declare

    upload = declare(place, instrument, 500, ImagePurpose.BENCHMARK)
    return place.images.accept(upload, field, 4.0, place.clock()).split


def test_who_asks_for_fields_out_of_turn_is_refused(place: Workplace, cohort: dict[str, Instrument]) -> None:
    federation = begin(place)
    with pytest.raises(Unknown):
        grant_fields(place, cohort["ashby"], "federation-9999", ["a"])
    with pytest.raises(Forbidden):
        grant_fields(place, cohort["archive"], federation.id, ["a"])
    place.federations.end(federation.id, Stage.FAILED, place.clock())
    with pytest.raises(FederationOver):
        grant_fields(place, cohort["ashby"], federation.id, ["a"])


def test_one_federation_at_a_time(place: Workplace, cohort: dict[str, Instrument]) -> None:
    begin(place)
    assert open_due(place) is None
    with pytest.raises(CannotFederate, match="under way"):
        open_on_demand(place, None)


def test_the_operator_can_have_one_without_new_frames(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    place.federations.end(begin(place).id, Stage.DONE, place.clock())
    assert open_due(place) is None
    with pytest.raises(Unknown, match="expected one of the cohorts denoise-residual-denoiser"):
        open_on_demand(place, "elsewhere")
    assert open_on_demand(place, None) == "federation-0002"


def test_who_was_not_heard_of_lately_is_not_invited(place: Workplace, cohort: dict[str, Instrument]) -> None:
    with opened(place.settings.data, lambda: time.time() + 600) as later:
        assert open_due(later) is None
        for name in MEMBERS:
            beat(later, cohort[name])
        assert open_due(later) is not None


def test_a_soup_is_the_mean_and_refuses_a_mixture() -> None:
    from safetensors.numpy import save

    one, other = weights_of(0.1, 1), weights_of(0.3, 2)
    mixed = load(soup([save(one), save(other)]))
    for key in one:
        np.testing.assert_allclose(mixed[key], (one[key].astype(float) + other[key]) / 2, rtol=1e-6)
        assert mixed[key].dtype == np.float32
    with pytest.raises(CannotFederate, match="one architecture"):
        soup([save(one), save({"a": np.zeros(3, np.float32)})])


def ref(name: str) -> NetworkRef:
    return NetworkRef(id=name, version="1", weights_sha256=sha256_bytes(name.encode()))


@pytest.mark.parametrize(
    ("lines", "common"),
    [
        (["au", "bu", "cu"], "u"),
        (["fu", "fu", "fu"], "f"),
        (["fu", "fu", "cu"], "u"),
        (["xfu", "yfu", "fu"], "f"),
        (["ABu", "bu", "cu"], "u"),
        (["au", "bu", "cv"], "u"),
        (["a"], "a"),
    ],
)
def test_the_parent_is_the_nearest_network_from_which_most_descend(lines: list[str], common: str) -> None:
    told = [[ref(name) for name in line] for line in lines]
    assert nearest_common(told) == ref(common)
    assert nearest_common(told[::-1]) == ref(common)


def test_it_starts_from_the_mean_of_related_networks_only(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    kept = place.releases.current(cohort["cortex"].id)
    assert kept is not None
    stranger = network(place, "stranger", weights_of(0.2, 5), parent="elsewhere")
    publishing.release_assigned(
        place, cohort["cortex"], stranger, ["it is there"], "campaign-2", ReleasePurpose.FINAL
    )
    federation = begin(place)
    assert (
        Performer(place, MemoryEngine(place.settings, GOOD)).perform(federation.id, Stage.ASSEMBLING) is None
    )
    started = load((place.settings.federations / federation.id / "start.safetensors").read_bytes())
    related = [weights_of(BAD, seed) for seed in (0, 1)]
    for key, array in started.items():
        np.testing.assert_allclose(array, (related[0][key].astype(float) + related[1][key]) / 2, rtol=1e-6)


def test_networks_of_federations_are_named_by_their_task() -> None:
    assert network_id(Denoise()) == "federated-denoise"
    assert network_id(SuperResolve(scale=2)) == "federated-super-resolve-x2"


@pytest.mark.timeout(400)
def test_killed_in_its_stages_it_goes_on_and_counts_nothing_twice(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    killed = []
    for stage in (Stage.ROUNDS, Stage.GATES):
        with program(place, seconds=0.2) as process:
            if reached(place, stage, process):
                os.kill(process.pid, signal.SIGKILL)
                killed.append(stage)
    with program(place, seconds=0.0) as process:
        assert process.wait(100) == 0
    [federation] = place.federations.all()
    assert federation.stage == Stage.DONE, federation.events
    assert Stage.ROUNDS in killed
    rounds = federation.findings[Finding.ROUNDS]
    assert [each["number"] for each in rounds] == [1, 2]
    assert [len(each["contributed"]) for each in rounds] == [3, 3]
    begun = [event.stage for event in federation.events if event.text == "begins"]
    assert begun == [*PERFORMED]
    for name in MEMBERS:
        assert len(place.releases.of(cohort[name].id)) == 2


class program:  # noqa: N801
    """The coordinator without a port, in a process of its own."""

    def __init__(self, place: Workplace, seconds: float) -> None:
        command = [sys.executable, str(PROGRAM), str(place.settings.data), str(seconds)]
        self._process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def reached(place: Workplace, stage: Stage, process: subprocess.Popen[bytes]) -> bool:
    """Await the beginning of a stage; False where it is over already."""

    def begun() -> bool:
        return any(
            event.stage == stage and event.text == "begins"
            for federation in place.federations.all()
            for event in federation.events
        )

    return wait_for(lambda: begun() or process.poll() is not None) and process.poll() is None


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
