"""A federation's folder, sites that answer from memory, and time that passes only when told to.

As a program (`python sites.py FOLDER SECONDS`), it runs the rounds of a folder with sites that take
so many seconds each; the tests kill it.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coordinator.federation import rounds
from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.clock import Clock
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.memory_fleet import Answer, MemoryFleet, Site
from coordinator.federation.plan import START_FILE, FederationPlan, Member, read_plan, write_plan
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.networks.config import UNetConfig
from model_library.wire.tasks import Denoise

ASHBY, BOREAL, CORTEX, DELTA = MEMBERS = ("ashby-0a", "boreal-1b", "cortex-2c", "delta-3d")
WEIGHTS: Weights = {
    "body.weight": np.linspace(-1, 1, 36, dtype=np.float32).reshape(4, 1, 3, 3),
    "head.bias": np.array(0.25, np.float32),
}


def plan_of(**changes: object) -> FederationPlan:
    """Plan three rounds of four members, three of whom suffice."""
    values = {
        "federation_id": "denoise-1",
        "task": Denoise(),
        "config": UNetConfig(widths=(4, 8)),
        "members": tuple(Member(instrument_id=key, site=key.split("-")[0]) for key in MEMBERS),
        "rounds": 3,
        "quorum": 3,
        "assemble_s": 120.0,
        "round_s": 600.0,
        "steps": 40,
        "learning_rate": 3e-4,
    }
    return FederationPlan.model_validate(values | changes)


def found(folder: Path, **changes: object) -> FederationPlan:
    """Write what the rounds start from."""
    plan = plan_of(**changes)
    write_plan(folder, plan)
    (folder / START_FILE).write_bytes(encode_weights(WEIGHTS))
    return plan


def report_of(plan: AdaptationPlan, **changes: object) -> str:
    """Report eight examples of two fields; with changes that need not be valid."""
    report = AdaptationReport(
        federation_id=plan.federation_id,
        number=plan.number,
        examples=8,
        fields=("f1", "f2"),
        steps=plan.steps,
        loss_first=1.0,
        loss_last=0.5,
        train_s=1.5,
    )
    return report.model_copy(update=changes).model_dump_json(warnings=False)


def update_of(weights: Weights, seed: int, size: float = 0.01) -> dict[str, np.ndarray]:
    """Change all weights a little; the same seed and weights give the same update."""
    random = np.random.default_rng(seed)
    return {
        key: np.asarray(size * random.standard_normal(weights[key].shape), np.float32)
        for key in sorted(weights)
    }


def adapting(seed: int) -> Site:
    """Answer as a site should; what it sends depends on the weights that it was given."""

    def answer(plan: AdaptationPlan, weights: Weights) -> Answer:
        update = update_of(weights, 1000 * plan.number + seed)
        pulled = {key: np.asarray(update[key] - np.float32(0.1) * weights[key]) for key in weights}
        return pulled, report_of(plan, examples=8 + seed, fields=(f"field-{seed}",))

    return answer


def silent(plan: AdaptationPlan, weights: Weights) -> Answer:
    """Answer nothing."""
    return None


def good_sites() -> dict[str, Site]:
    """Four sites that do as they should."""
    return {key: adapting(seed) for seed, key in enumerate(MEMBERS)}


@dataclass
class ManualClock:
    """Time that passes by sleeping only."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(unix=lambda: self.now, monotonic=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@dataclass
class SlowFleet(MemoryFleet):
    """A fleet whose replies come one at a time, each after a while."""

    seconds: float = 0.0

    def replies(self, waiting: Sequence[str]) -> list[Reply]:
        time.sleep(self.seconds)
        ready = [message_id for message_id in waiting if message_id in self._ready]
        return super().replies(ready[:1])


if __name__ == "__main__":
    here = Path(sys.argv[1])
    rounds.run(read_plan(here), SlowFleet(good_sites(), seconds=float(sys.argv[2])), here)
