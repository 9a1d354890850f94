"""Each member's own version: asked for once, examined as an update, judged beside the common network."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from coordinator.federation import rounds
from coordinator.federation.checkpoint import read_weights
from coordinator.federation.federating import PERFORMED, Performer
from coordinator.federation.fleet import Weights
from coordinator.federation.liveness import alive
from coordinator.federation.memory_fleet import Answer, MemoryFleet
from coordinator.federation.opening import open_due
from coordinator.federation.overview import federations_told
from coordinator.federation.personal import version_file
from coordinator.federation.plan import FederationOutcome, read_plan
from coordinator.federation.records import Finding
from coordinator.federation.runs import RunState
from coordinator.federation.sittings import judge_all
from coordinator.status_lines import quality_lines
from coordinator.store.values import Instrument, ReleasePurpose
from coordinator.workplace import Workplace
from model_library.cards.adaptation import AdaptationPlan
from model_library.wire.tasks import Denoise

from .microscopes import BAD, MEMBERS, MemoryEngine, Site, weights_of
from .sites import (
    ASHBY,
    BOREAL,
    CORTEX,
    DELTA,
    ManualClock,
    adapting,
    found,
    good_sites,
    report_of,
    update_of,
)

pytestmark = pytest.mark.timeout(120)


def run(folder: Path, sites: dict) -> tuple[FederationOutcome, MemoryFleet]:
    fleet = MemoryFleet(sites)
    return rounds.run(read_plan(folder), fleet, folder, ManualClock().clock), fleet


def versions(folder: Path, outcome: FederationOutcome) -> dict[str, Weights]:
    assert outcome.personal is not None
    return {key: read_weights(version_file(folder, key)) for key in outcome.personal.fields}


def keeping_it(plan: AdaptationPlan, weights: Weights) -> Answer:
    """Take part in the rounds, and keep the own version."""
    if plan.kind == "personal":
        return "its owner keeps it"
    return adapting(7)(plan, weights)


def test_nobody_is_asked_where_the_plan_wants_none(tmp_path) -> None:
    found(tmp_path)
    outcome, fleet = run(tmp_path, good_sites())
    assert outcome.personal is None
    assert {number for number, _ in fleet.asked} == {1, 2, 3}


def test_versions_are_the_common_network_and_what_each_site_adds(tmp_path) -> None:
    found(tmp_path, personal_steps=5)
    plans = []

    def watching(plan: AdaptationPlan, weights: Weights) -> Answer:
        plans.append(plan)
        return update_of(weights, 3, 0.02), report_of(plan)

    outcome, _ = run(tmp_path, good_sites() | {ASHBY: watching})
    common = read_weights(tmp_path / outcome.weights)
    own = versions(tmp_path, outcome)
    assert own.keys() == {ASHBY, BOREAL, CORTEX, DELTA}
    change = update_of(common, 3, 0.02)
    for key, array in common.items():
        assert np.allclose(own[ASHBY][key], array + change[key], atol=1e-6)
        assert not np.array_equal(own[BOREAL][key], own[CORTEX][key])
    assert [(each.kind, each.number, each.steps) for each in plans[-2:]] == [
        ("update", 3, 40),
        ("personal", 4, 5),
    ]


def test_the_common_network_is_the_same_whether_versions_are_asked_for_or_not(tmp_path) -> None:
    folders = [tmp_path / "without", tmp_path / "with"]
    finals = []
    for folder, steps in zip(folders, (0, 5), strict=True):
        folder.mkdir()
        found(folder, personal_steps=steps)
        outcome, _ = run(folder, good_sites())
        finals.append((folder / outcome.weights).read_bytes())
    assert finals[0] == finals[1]


def test_kept_layers_come_with_the_own_version_and_only_with_it(tmp_path) -> None:
    plan = found(tmp_path, personal_steps=5, keeps=("head.bias",))
    keys = ("body.weight", "head.bias")
    assert plan.adaptation(3).sends(keys) == ("body.weight",)
    assert plan.adaptation(4).sends(keys) == keys

    def answer(plan: AdaptationPlan, weights: Weights) -> Answer:
        sent = {key: weights[key] for key in plan.sends(weights)}
        return update_of(sent, 5), report_of(plan)

    outcome, _ = run(tmp_path, dict.fromkeys((ASHBY, BOREAL, CORTEX, DELTA), answer))
    common = read_weights(tmp_path / outcome.weights)
    assert not np.array_equal(versions(tmp_path, outcome)[ASHBY]["head.bias"], common["head.bias"])
    assert np.array_equal(common["head.bias"], np.array(0.25, np.float32))


BAD_VERSIONS = {
    "NaN": lambda update: update | {"head.bias": np.array(np.nan, np.float32)},
    "another shape": lambda update: update | {"head.bias": np.zeros(2, np.float32)},
    "a key too few": lambda update: {"head.bias": update["head.bias"]},
    "far too large": lambda update: {key: 1e6 * array for key, array in update.items()},
}


@pytest.mark.parametrize("spoil", BAD_VERSIONS.values(), ids=BAD_VERSIONS.keys())
def test_what_is_no_version_is_refused_and_the_others_stand(tmp_path, spoil) -> None:
    found(tmp_path, personal_steps=5)

    def bad(plan: AdaptationPlan, weights: Weights) -> Answer:
        update, report = adapting(1)(plan, weights)
        return (spoil(dict(update)) if plan.kind == "personal" else update), report

    outcome, _ = run(tmp_path, good_sites() | {BOREAL: bad})
    assert outcome.state == "completed"
    assert versions(tmp_path, outcome).keys() == {ASHBY, CORTEX, DELTA}
    [refusal] = outcome.personal.refused
    assert refusal.site == "boreal"


def test_an_owner_who_keeps_his_version_holds_nothing_up(tmp_path) -> None:
    found(tmp_path, personal_steps=5)
    outcome, _ = run(tmp_path, good_sites() | {CORTEX: keeping_it})
    assert [(each.site, each.cause) for each in outcome.personal.refused] == [
        ("cortex", "no update: its owner keeps it")
    ]
    assert outcome.personal.offenders == ()


def test_after_a_crash_only_those_are_asked_whose_version_is_missing(tmp_path) -> None:
    found(tmp_path, personal_steps=5)

    class Killed(Exception):
        pass

    def killing(plan: AdaptationPlan, weights: Weights) -> Answer:
        if plan.kind == "personal":
            raise Killed
        return adapting(3)(plan, weights)

    class OneByOne(MemoryFleet):
        def send(self, plan, weights, to, ttl_s):
            if plan.kind == "personal" and DELTA in to:
                to = [key for key in to if key != DELTA]
            return super().send(plan, weights, to, ttl_s)

        def replies(self, waiting):
            yield from super().replies(waiting)
            if any(number == 4 for number, _ in self.asked):
                raise Killed

    with pytest.raises(Killed):
        rounds.run(read_plan(tmp_path), OneByOne(good_sites()), tmp_path, ManualClock().clock)
    outcome, fleet = run(tmp_path, good_sites())
    assert fleet.asked == [(4, DELTA)]
    assert versions(tmp_path, outcome).keys() == {ASHBY, BOREAL, CORTEX, DELTA}


@dataclass
class PersonalEngine(MemoryEngine):
    """Sites whose own versions differ from what the rounds make."""

    own_goals: dict[str, Weights] = field(default_factory=dict)

    def _run(self, federation_id: str, number: int) -> None:
        folder = self.settings.federations / federation_id
        plan = read_plan(folder)

        def site(name: str):
            def answer(asked: AdaptationPlan, weights: Weights) -> Answer:
                personal = asked.kind == "personal"
                if personal and name not in self.own_goals:
                    return "its owner keeps it"
                return Site(self.own_goals[name] if personal else self.goal, name)(asked, weights)

            return answer

        with alive(folder):
            rounds.run(
                plan, MemoryFleet({each.instrument_id: site(each.site) for each in plan.members}), folder
            )
        self.runs[number] = RunState("finished", "completed", "")


def perform(place: Workplace, common: Weights, own_goals: dict[str, Weights]) -> dict:
    federation = place.settings.federation.model_copy(update={"personal_steps": 4})
    place = replace(place, settings=place.settings.model_copy(update={"federation": federation}))
    engine = PersonalEngine(place.settings, common, own_goals=own_goals)
    opened = open_due(place)
    assert opened is not None
    for stage in PERFORMED:
        failure = Performer(place, engine).perform(opened, stage)
        assert failure is None, failure
    [told] = federations_told(place)
    return told


def test_each_instrument_gets_the_best_of_common_own_and_present_network(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    fair, good, spoilt = weights_of(BAD / 2), weights_of(0.0), weights_of(BAD, 3)
    told = perform(place, fair, {"ashby": good, "boreal": spoilt})
    given = {each["site"]: each for each in told["releases"]}
    assert given["ashby"]["method"]["id"] == "federated-denoise-personal"
    assert given["ashby"]["purpose"] == ReleasePurpose.PERSONAL
    assert given["boreal"]["method"] == given["cortex"]["method"] == told["network"]
    quality = {each["site"]: each["quality"] for each in told["gates"] if each["passed"]}
    assert quality["ashby"]["personal"] > quality["ashby"]["common"] > quality["ashby"]["in_service"]
    assert quality["boreal"]["personal"] < quality["boreal"]["common"]
    assert quality["cortex"]["personal"] is None
    assert {each["site"]: each["passed"] for each in told["personal_gates"]} == {
        "ashby": True,
        "boreal": False,
    }
    # The second look at the same images asks for more.
    looks = {each["site"]: each["looks"] for each in told["personal_gates"]}
    assert looks == {"ashby": 2, "boreal": 2}
    assert [each["site"] for each in told["personal"]["record"]["refused"]] == ["cortex"]


def test_a_gate_that_a_crash_cut_short_between_the_two_networks_counts_once(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    told = perform(place, weights_of(BAD / 2), {"ashby": weights_of(0.0)})
    place.federations.find_out(told["id"], Finding.GATES, {})
    federation = place.federations.get(told["id"])
    assert federation is not None
    judge_all(place, federation)
    [again] = federations_told(place)
    assert [each["looks"] for each in again["personal_gates"]] == [2]


def test_an_own_version_descends_from_the_common_network_and_is_given_to_nobody_else(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    told = perform(place, weights_of(BAD / 2), {"ashby": weights_of(0.0)})
    [version] = told["personal"]["versions"].values()
    card = json.loads((place.settings.networks / version["weights_sha256"] / "card.json").read_text())
    assert card["lineage"]["parent_weights_sha256"] == told["network"]["weights_sha256"]
    assert f"{cohort['ashby'].id}/stage:ashby" in card["lineage"]["tuned_fields"]
    returned = {each.ref.weights_sha256 for each in place.returned.for_task(Denoise())}
    assert version["weights_sha256"] not in returned
    assert told["network"]["weights_sha256"] in returned


def test_the_matrix_scores_every_network_on_the_images_of_every_site(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    federation = perform(place, weights_of(BAD / 2), {"ashby": weights_of(0.0)})
    told, lines = federation["matrix"], quality_lines(federation)
    # At the gate of ashby, and in the matrix.
    assert sum("personal" in line for line in lines) == 2
    assert sum("psnr_repeat on the images of" in line for line in lines) == 1
    assert len(lines) == len([each for each in federation["gates"] if each["quality"]]) + 1 + len(
        told["values"]
    )
    assert told["metric"] == "psnr_repeat"
    assert sorted(told["images_of"]) == sorted((*MEMBERS, "archive"))
    rows = {
        (each["site"], each["kind"]): row for each, row in zip(told["networks"], told["values"], strict=True)
    }
    assert rows.keys() == {
        (None, "common"),
        ("ashby", "personal"),
        *((name, "in_service") for name in (*MEMBERS, "archive")),
    }
    best, common, bad = rows["ashby", "personal"], rows[None, "common"], rows["ashby", "in_service"]
    assert all(a > b > c for a, b, c in zip(best, common, bad, strict=True))
    # The same network under two names scores the same: `archive` serves what ashby's version is.
    assert rows["archive", "in_service"] == best
    assert told["left_out"] == {}
