"""What a coordinator is told of a scenario, and what no coordinator or machine can do."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coordinator.settings import read_settings
from model_library.wire.methods import NetworkRef
from model_library.zoo.registry import Library
from simulations.deployed.capacity import TooLarge, available_mib, refuse_too_large
from simulations.deployed.founding import federation_settings, lay_library, shrunk
from simulations.errors import ScenarioError
from simulations.fleet import coordinator_toml
from simulations.fleets.planned import plan_of, start_network
from simulations.fleets.scenario import FleetScenario, FreshNetwork, Instruments
from simulations.fleets.sites import instruments_of
from simulations.simulate_cli import app


def scenario(count: int = 3, **federation: Any) -> FleetScenario:
    return FleetScenario(
        name="founded",
        told="To be founded.",
        seed=7,
        network=FreshNetwork(widths=(4, 8)),
        federation={"rounds": 2, "steps": 3, "learning_rate": 1e-3, **federation},
        instruments=(Instruments(name="unit", count=count, specimen="cells", dose=20),),
    )


def settings_of(asked: FleetScenario) -> dict[str, Any]:
    plan = plan_of(asked, instruments_of(asked), start_network(asked).config)
    return federation_settings(asked, plan)


def test_a_coordinator_reads_what_the_scenario_says(tmp_path: Path) -> None:
    asked = scenario(algorithm={"kind": "fedprox", "mu": 0.1}, encoding="float16", round_s=90)
    hosts = ["127.0.0.1", "127.0.0.2"]
    served = {"hosts": hosts, "port": 4711, "library": str(tmp_path / "library"), "seed": asked.seed}
    text = coordinator_toml("synoptic simulate", served, tuning={}, federation=settings_of(asked))
    (tmp_path / "settings.toml").write_text(text)
    read = read_settings(tmp_path)
    assert read.hosts == tuple(hosts)
    assert (read.port, read.seed, read.library) == (4711, 7, tmp_path / "library")
    rounds = read.federation
    assert (rounds.rounds, rounds.steps, rounds.learning_rate, rounds.round_s) == (2, 3, 1e-3, 90)
    assert (rounds.algorithm.kind, rounds.encoding, rounds.quorum) == ("fedprox", "float16", 2)
    assert not rounds.automatic


def test_a_setting_that_no_coordinator_has_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"clip_norm .*leave out --processes"):
        settings_of(scenario(clip_norm=0.1))


def test_one_site_alone_is_no_federation_of_a_coordinator() -> None:
    with pytest.raises(ScenarioError, match="at least 2 sites"):
        settings_of(scenario(count=1))


def test_a_quorum_shrinks_with_the_sites_that_are_run() -> None:
    asked = scenario(count=20, quorum=6)
    assert [shrunk(asked, sites).federation["quorum"] for sites in (20, 10, 4, 2)] == [6, 3, 2, 1]
    assert shrunk(scenario(count=20), 4).federation == scenario(count=20).federation


def test_the_library_holds_the_network_that_the_rounds_begin_with(tmp_path: Path) -> None:
    asked = scenario()
    network = start_network(asked)
    plan = plan_of(asked, instruments_of(asked), network.config)
    ref = lay_library(tmp_path, asked, network, plan)
    assert isinstance(ref, NetworkRef)
    library = Library(tmp_path)
    assert library.ids() == (ref.id,)
    assert library.verify(ref.id).ref == ref
    kept = library.load(ref.id).module.state_dict()
    assert kept.keys() == network.weights.keys()
    assert all((kept[key].numpy() == array).all() for key, array in network.weights.items())


def test_a_fleet_that_does_not_fit_is_told_how_many_sites_would() -> None:
    refuse_too_large(3, 8000)
    with pytest.raises(TooLarge, match=r"expected .* MiB .* for 20 sites.*found 8000.*--sites 6"):
        refuse_too_large(20, 8000)
    with pytest.raises(TooLarge, match="free some"):
        refuse_too_large(2, 1000)


def test_free_memory_is_that_which_linux_tells(tmp_path: Path) -> None:
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       16000000 kB\nMemFree:  12 kB\nMemAvailable:    2097152 kB\n")
    assert available_mib(told) == 2048


def test_the_command_refuses_a_fleet_that_is_too_large_for_this_machine() -> None:
    result = CliRunner().invoke(app, ["two-hundred-instruments", "--processes"])
    assert isinstance(result.exception, TooLarge)
    assert "for 200 sites as real processes" in str(result.exception)


def test_the_first_sites_alone_are_for_real_processes() -> None:
    result = CliRunner().invoke(app, ["three-sites-non-iid", "--sites", "2"])
    assert result.exit_code == 2
    assert "with --processes" in result.output
