"""Several processes train one network: each on batches of its own, all with the same weights."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from model_library.training.distributed import Team, joined

PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np, torch
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.signing.digests import sha256_bytes
from model_library.training.checkpoint import Checkpointing
from model_library.training.config import EarlyStopping, FitConfig
from model_library.training.distributed import joined
from model_library.training.fit import fit
from model_library.training.labelled import AnnotatedPairs
from model_library.training.objectives import PairObjective
from model_library.zoo.store import weights_bytes

out = Path(sys.argv[1])
torch.set_num_threads(1)
config = FitConfig(steps=6, batch=2, patch_px=16, loss="cross_entropy",
                   early_stopping=EarlyStopping(every=2, patience=9, batches=1))

def pairs(seed):
    image = np.random.default_rng(seed).random((48, 48), dtype=np.float32)
    return AnnotatedPairs([image], [(image > 0.5).astype(np.uint8)])

def train(folder, stop=None):
    torch.manual_seed(0)
    start, told = build(UNetConfig(widths=(4, 6), out_channels=2, residual=False)), []
    result = fit(start, PairObjective(pairs(1), pairs(2)), config, progress=told.append, stop=stop,
                 checkpointing=Checkpointing(out / folder, "d" * 64))
    return {"digest": sha256_bytes(weights_bytes(result.module)), "losses": result.losses,
            "told": len(told), "judged": [one.loss for one in result.judgements]}

with joined() as team:
    asked = []
    def stop():
        asked.append(0)
        return team.rank == 1 and len(asked) > 3
    found = {"whole": train("whole"), "stopped": train("broken", stop), "resumed": train("broken")}
    (out / f"rank{team.rank}.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the two processes of a team say of three trainings."""
    out = tmp_path_factory.mktemp("team")
    (out / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, out / "program.py", out], check=True, timeout=200, env=environment)
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_all_processes_end_with_equal_weights(ranks: list[dict[str, Any]]):
    assert ranks[0]["whole"]["digest"] == ranks[1]["whole"]["digest"]


def test_each_draws_batches_of_its_own_and_the_leader_judges_for_all(ranks: list[dict[str, Any]]):
    first, second = (rank["whole"] for rank in ranks)
    assert set(first["losses"]).isdisjoint(second["losses"])
    assert first["judged"] == second["judged"]


def test_only_the_leader_tells(ranks: list[dict[str, Any]]):
    assert [rank["whole"]["told"] for rank in ranks] == [6, 0]


def test_when_one_is_asked_to_stop_all_do_and_go_on_from_the_checkpoint(ranks: list[dict[str, Any]]):
    assert [len(rank["stopped"]["losses"]) for rank in ranks] == [3, 3]
    assert [rank["resumed"]["told"] for rank in ranks] == [3, 0]
    assert [rank["resumed"]["digest"] for rank in ranks] == [rank["whole"]["digest"] for rank in ranks]


def test_alone_nothing_is_shared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RANK", raising=False)
    module = torch.nn.Linear(1, 1)
    with joined() as team:
        assert team == Team.current() == Team()
        assert team.joint(module) is module
        assert (team.any(True), team.any(False), team.follow(0.1)) == (True, False, 0.1)


def test_the_leader_draws_as_one_alone_would_and_the_others_otherwise():
    drawn = [np.random.default_rng(Team(rank, 3).seeds(7)).random() for rank in range(3)]
    assert drawn[0] == np.random.default_rng(7).random()
    assert len(set(drawn)) == 3
