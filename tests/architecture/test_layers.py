"""Imports run one way; each heavy library has one door; the daemon's own modules stay light."""

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

REPOSITORY = Path(__file__).parents[2]


def test_the_declared_import_contracts_hold():
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_modules_import_each_other_in_a_circle():
    packages = ("benchmark", "coordinator", "model_library", "simulations", "site_client")
    graph = grimp.build_graph(*packages, cache_dir=None)
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(TopologicalSorter(needs).static_order())) == len(graph.modules)


LIGHT_MODULES = [
    "model_library.cli",
    "model_library.wire",
    "model_library.cards.release",
    "model_library.images.readers",
    "model_library.signing.keys",
    "site_client.cli",
    "site_client.daemon",
    "coordinator.cli",
    "benchmark.cli",
]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_importing_it_does_not_load_torch(module: str):
    script = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, timeout=120)
    assert run.returncode == 0


def test_a_site_never_loads_the_coordinators_database():
    script = "import sys, site_client.daemon; sys.exit('sqlmodel' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, timeout=120).returncode == 0
