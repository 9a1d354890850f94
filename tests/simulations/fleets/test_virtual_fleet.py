"""Virtual time: nights, slow lines, stragglers and drop-outs, with the real rounds and sites in memory."""

from pathlib import Path

import numpy as np
import pytest

from coordinator.federation import rounds
from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.memory_fleet import MemoryFleet
from coordinator.federation.plan import START_FILE, FederationOutcome, FederationPlan, write_plan
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.networks.config import UNetConfig
from simulations.fleets.conditions import Conditions
from simulations.fleets.planned import plan_of
from simulations.fleets.scenario import FleetScenario, FreshNetwork, Instruments
from simulations.fleets.sites import instruments_of
from simulations.fleets.virtual_fleet import SILENT, EngineLost, VirtualFleet
from simulations.fleets.virtual_fleet import Weights as Arrays

WEIGHTS = {"kernel": np.ones((4, 4), np.float32)}
SITES = 4


def site(plan: AdaptationPlan, weights: Arrays) -> tuple[Arrays, str]:
    report = AdaptationReport(
        federation_id=plan.federation_id,
        number=plan.number,
        examples=8,
        fields=("field",),
        steps=1,
        loss_first=1,
        loss_last=1,
        train_s=0,
    )
    return {key: np.full_like(array, 0.01) for key, array in weights.items()}, report.model_dump_json()


def scenario(begins_at: str = "12:00", **conditions: object) -> FleetScenario:
    group = Instruments.model_validate(
        {"name": "unit", "count": SITES, "specimen": "cells", "dose": 20, "step_s": 2.0, **conditions}
    )
    return FleetScenario(
        name="virtual",
        told="In memory.",
        begins_at=begins_at,
        network=FreshNetwork(widths=(4, 8)),
        federation={"rounds": 3, "steps": 5, "learning_rate": 1e-3, "round_s": 600, "quorum": 1},
        instruments=(group,),
    )


def performed(
    folder: Path, asked: FleetScenario, **changes: object
) -> tuple[FederationOutcome, VirtualFleet, FederationPlan]:
    instruments = instruments_of(asked)
    plan = plan_of(asked, instruments, UNetConfig(widths=(4, 8))).model_copy(update=changes)
    folder.mkdir(exist_ok=True)
    write_plan(folder, plan)
    (folder / START_FILE).write_bytes(encode_weights(WEIGHTS))
    inner = MemoryFleet({each.id: site for each in instruments})
    fleet = VirtualFleet(inner, Conditions.of(asked, instruments), folder)
    return rounds.run(plan, fleet, folder, fleet.clock), fleet, plan


def test_a_round_takes_the_virtual_time_of_its_training(tmp_path: Path) -> None:
    outcome, fleet, _ = performed(tmp_path, scenario())
    assert outcome.state == "completed"
    # Five steps of two seconds; the rounds look twice a second.
    assert [round(each.seconds, 1) for each in outcome.rounds] == [10.5] * 3
    assert fleet.now_s == pytest.approx(31.5)


def test_a_slow_line_takes_its_time(tmp_path: Path) -> None:
    # 64 bytes down and some more up, at 64 bytes per second.
    outcome, _, _ = performed(tmp_path, scenario(mbit_per_s=512e-6))
    assert all(each.seconds > 12 for each in outcome.rounds)


def test_a_straggler_is_not_waited_for_beyond_the_round(tmp_path: Path) -> None:
    asked = scenario(straggles=0.5, straggles_by=1000.0)
    outcome, _, _ = performed(tmp_path, asked)
    causes = [told.cause for each in outcome.rounds for told in each.refused]
    assert outcome.state == "completed"
    assert causes
    assert set(causes) == {"no reply within 600 s"}
    assert all(len(each.contributed) + len(each.refused) == SITES for each in outcome.rounds)


def test_a_short_silence_delays_the_answer_and_loses_nothing(tmp_path: Path) -> None:
    outcome, _, _ = performed(tmp_path, scenario(drops_out=1.0, silent_s=20))
    assert [len(each.contributed) for each in outcome.rounds] == [SITES] * 3
    # Ten seconds of training lie within the silence.
    assert [round(each.seconds, 1) for each in outcome.rounds] == [20.5] * 3


def test_who_drops_out_is_named_and_the_others_count(tmp_path: Path) -> None:
    outcome, _, _ = performed(tmp_path, scenario(drops_out=0.5))
    refused = [told for each in outcome.rounds for told in each.refused]
    assert refused
    assert all(SILENT in told.cause for told in refused)
    assert all(len(each.contributed) + len(each.refused) == SITES for each in outcome.rounds)


def test_everything_follows_from_the_seed(tmp_path: Path) -> None:
    asked = scenario(drops_out=0.4, straggles=0.2)
    told = [performed(tmp_path / name, asked)[0].rounds for name in ("one", "two")]
    assert told[0] == told[1]
    other = performed(tmp_path / "other", asked.model_copy(update={"seed": 5}))[0].rounds
    assert other != told[0]


def test_whoever_is_online_at_night_only_is_waited_for_until_then(tmp_path: Path) -> None:
    asked = scenario(begins_at="20:30", online=["21:00-06:00"])
    outcome, fleet, _ = performed(tmp_path, asked, assemble_s=7200.0)
    assert outcome.state == "completed"
    assert fleet.now_s == pytest.approx(30 * 60 + 31.5)


def test_rounds_fail_by_day_where_everybody_works_at_night(tmp_path: Path) -> None:
    outcome, _, _ = performed(tmp_path, scenario(online=["21:00-06:00"]))
    assert outcome.state == "failed"
    assert "members online within 3600 s, found 0" in str(outcome.cause)


def test_nothing_is_left_of_answers_that_have_arrived(tmp_path: Path) -> None:
    performed(tmp_path, scenario())
    assert not list(tmp_path.glob("*.spooled"))


def test_an_engine_that_answers_no_more_is_given_up(tmp_path: Path) -> None:
    asked = scenario()
    instruments = instruments_of(asked)
    silent = MemoryFleet({each.id: lambda _plan, _weights: None for each in instruments})
    now = iter(range(0, 10_000, 100))
    fleet = VirtualFleet(
        silent,
        Conditions.of(asked, instruments),
        tmp_path,
        wait=lambda _seconds: None,
        real=lambda: float(next(now)),
    )
    plan = plan_of(asked, instruments, UNetConfig(widths=(4, 8)))
    fleet.send(plan.adaptation(1), WEIGHTS, ["unit-001"], 600.0)
    with pytest.raises(EngineLost, match="expected answers from Flower's engine"):
        fleet.clock.sleep(60.0)
