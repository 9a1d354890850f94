"""Scenario files: what ships can be read and planned, and what cannot be simulated is refused in words."""

import re
from pathlib import Path

import pytest

from coordinator.settings.algorithms import MultiKrum
from model_library.networks.config import UNetConfig
from simulations.errors import ScenarioError
from simulations.fleets.planned import plan_of, start_network
from simulations.fleets.scenario import FleetScenario, read_scenario
from simulations.fleets.sites import instruments_of

SHIPPED = sorted((Path(__file__).parents[3] / "simulations" / "scenarios").glob("*.toml"))
PLAIN = """
name = "plain"
told = "Two sites."
[network]
kind = "fresh"
widths = [4, 8]
[federation]
rounds = 2
steps = 1
learning_rate = 1e-3
[[instruments]]
name = "tissue"
specimen = "cells"
dose = 20
count = 2
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def scenario(folder: Path, text: str = PLAIN) -> FleetScenario:
    return read_scenario(written(folder, text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_is_named_as_its_file_and_can_be_planned(path: Path) -> None:
    shipped = read_scenario(path)
    assert shipped.name == path.stem
    if any(group.files is not None for group in shipped.instruments):
        with pytest.raises(ScenarioError, match="give the folder that holds them with --data"):
            instruments_of(shipped)
        return
    instruments = instruments_of(shipped)
    assert len({each.id for each in instruments}) == shipped.count
    plan = plan_of(shipped, instruments, UNetConfig(widths=(4, 8)))
    assert plan.ids == {each.id for each in instruments}
    for variant in shipped.variants:
        assert plan_of(shipped, instruments, UNetConfig(widths=(4, 8)), variant.federation) != plan


def test_the_scenarios_that_the_manual_names_ship() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "three-sites-non-iid",
        "twenty-sites-with-drop-outs",
        "forty-sites-eight-malicious",
        "forty-sites-flipped-labels",
        "one-cohort",
        "two-hundred-instruments",
        "privacy-against-quality",
        "five-laboratories",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("told =", "tld ="), "tld"),
        (('specimen = "cells"', ""), "either a specimen or files"),
        (('specimen = "cells"', 'specimen = "cells"\nfiles = "*.tif"'), "either a specimen or files"),
        (("dose = 20", "dose = -1"), "dose"),
        (("dose = 20", 'dose = 20\nonline = ["at night"]'), "expected hours such as"),
        (("count = 2", "count = 2\ndrops_out = 1.5"), "drops_out"),
        (("[federation]", '[attacks]\ninstruments = 2\nkinds = ["noise"]\n[federation]'), "fewer attackers"),
        (("[federation]", "[frames]\nside_px = 70\n[federation]"), "multiple of 16"),
        (("[network]", "[network"), "expected TOML"),
        (("[network]", 'task = { kind = "segment", classes = ["a", "b"] }\n[network]'), "against = []"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        scenario(tmp_path, PLAIN.replace(*change))


def test_two_groups_of_one_name_are_refused(tmp_path: Path) -> None:
    again = PLAIN + '[[instruments]]\nname = "tissue"\nspecimen = "cells"\ndose = 5\n'
    with pytest.raises(ScenarioError, match="different names"):
        scenario(tmp_path, again)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="expected a scenario at"):
        read_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("rounds = 2\nspeed = 3", "speed"),
        ('rounds = 2\nfederation_id = "mine"', "follow from the rest"),
        ('rounds = 2\nalgorithm = { kind = "multi_krum" }', "quorum of at least 5"),
    ],
)
def test_settings_of_rounds_that_do_not_fit_are_refused(tmp_path: Path, settings: str, said: str) -> None:
    wrong = scenario(tmp_path, PLAIN.replace("rounds = 2", settings))
    with pytest.raises(ScenarioError, match=said):
        plan_of(wrong, instruments_of(wrong), UNetConfig(widths=(4, 8)))


def test_settings_of_rounds_are_those_of_the_coordinators_plan(tmp_path: Path) -> None:
    text = PLAIN.replace("rounds = 2", 'rounds = 2\nalgorithm = { kind = "multi_krum", byzantine = 2 }')
    asked = scenario(tmp_path, text.replace("count = 2", "count = 20"))
    plan = plan_of(asked, instruments_of(asked), UNetConfig(widths=(4, 8)))
    assert plan.algorithm == MultiKrum(byzantine=2)
    assert plan.quorum == 10


def test_what_a_site_keeps_under_fedbn_is_planned(tmp_path: Path) -> None:
    asked = scenario(tmp_path, PLAIN.replace("rounds = 2", 'rounds = 2\nalgorithm = { kind = "fedbn" }'))
    plan = plan_of(asked, instruments_of(asked), UNetConfig(widths=(4, 8), normalisation="batch"))
    assert plan.keeps
    assert set(plan.keeps) < set(start_network(asked).weights) | set(plan.keeps)


def test_a_fresh_network_follows_from_the_seed(tmp_path: Path) -> None:
    asked = scenario(tmp_path)
    one, same = start_network(asked), start_network(asked)
    other = start_network(asked.model_copy(update={"seed": 1}))
    assert all((one.weights[key] == same.weights[key]).all() for key in one.weights)
    assert any((one.weights[key] != other.weights[key]).any() for key in one.weights)


def test_a_fresh_network_has_a_score_for_each_class(tmp_path: Path) -> None:
    task = 'task = { kind = "segment", classes = ["background", "membrane", "myelin"] }\n[network]'
    text = PLAIN.replace("[network]", task).replace("[[instr", "[comparison]\nagainst = []\n[[instr")
    asked = scenario(tmp_path, text)
    network = start_network(asked)
    assert network.weights["head.bias"].shape == (3,)
    assert plan_of(asked, instruments_of(asked), network.config).task == asked.task
