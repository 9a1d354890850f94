"""What it costs to send updates small: bytes, drift and quality, on updates that sites really trained.

`python -m simulations.wire_cost --json wire.json`
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.pointwise import psnr
from coordinator.federation.aggregation import Contribution, aggregate
from model_library.cards.adaptation import AdaptationPlan
from model_library.wire.delta_coding import most_bytes, pack, unpack
from model_library.wire.federation import Encoding
from model_library.wire.tasks import Denoise
from simulations.acquisition import Acquired, acquire
from simulations.default_fleet import default_scenario

if TYPE_CHECKING:
    from model_library.inference.weights import LoadedNetwork
    from site_client.adapt import Material

_SITES = ("cortex", "cerebellum", "retina")
_FRAMES, _HELD_OUT = 8, 3

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Site:
    """What one site trains on, and frames with truth that it does not."""

    material: "Material"
    held_out: tuple[Acquired, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """What came of the rounds with one encoding.

    `sent` and `meant` are the sums over rounds and sites of what arrived and of what was trained: their
    distance is the drift. How far the networks themselves come to lie apart says little of it:
    training amplifies any difference, however small, to the same distance.
    """

    weights: Arrays
    bytes_per_update: float
    sent: Arrays
    meant: Arrays


def sites_of(seed: int) -> tuple[Site, ...]:
    """Simulate three microscopes of one kind that differ in dose."""
    from site_client.adapt import Material, TrainingFrame

    scenario = default_scenario(seed, _FRAMES + _HELD_OUT)
    found = []
    for site in scenario.sites:
        if site.name not in _SITES:
            continue
        frames = [acquire(site, number, seed) for number in range(_FRAMES + _HELD_OUT)]
        trained = [TrainingFrame(each.frame.grey, f"field {n}") for n, each in enumerate(frames[:_FRAMES])]
        found.append(Site(Material.of(trained), tuple(frames[_FRAMES:])))
    return tuple(found)


def federate(
    start: "LoadedNetwork", sites: tuple[Site, ...], encoding: Encoding, rounds: int, steps: int
) -> Course:
    """Run rounds of federated averaging in this process, with updates that travel in an encoding."""
    from site_client.adapt import adapt

    weights: Arrays = {key: tensor.numpy().copy() for key, tensor in start.module.state_dict().items()}
    residuals: list[Arrays | None] = [None] * len(sites)
    sent, meant = ({key: np.zeros(a.shape) for key, a in weights.items()} for _ in range(2))
    most, total = most_bytes(len(weights), sum(array.size for array in weights.values())), 0
    for number in range(1, rounds + 1):
        contributions = {}
        for place, site in enumerate(sites):
            plan = _plan(start, number, rounds, steps)
            update, report = adapt(site.material, weights, plan, stop=lambda: False, clock=lambda: 0.0)
            packed = pack(update, encoding, residuals[place])
            residuals[place], total = packed.residual, total + len(packed.content)
            arrived = unpack(packed.content, most)
            for key in weights:
                sent[key] += arrived[key]
                meant[key] += update[key]
            contributions[str(place)] = Contribution(report.examples, partial(dict, arrived))
        weights = aggregate(weights, contributions).network
        _say(f"{encoding}: round {number} of {rounds}")
    return Course(weights, total / (rounds * len(sites)), sent, meant)


def quality_db(start: "LoadedNetwork", weights: Arrays, sites: tuple[Site, ...]) -> float:
    """Mean PSNR over held-out frames against what a noise-free detector would count."""
    import torch

    from model_library.inference.engine import NetworkMethod

    start.module.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in weights.items()})
    method = NetworkMethod(replace(start, module=start.module.eval()), tile_px=320)
    scores = []
    for each in (frame for site in sites for frame in site.held_out):
        assert each.truth is not None
        truth = each.truth.grey
        scores.append(psnr(method(each.frame.grey), truth, float(truth.max() - truth.min())))
    return float(np.mean(scores))


def measure(seed: int, rounds: int, steps: int) -> dict[str, Any]:
    """Run the rounds once per encoding, and hold them against float32."""
    import torch

    from model_library.zoo.registry import Library

    torch.set_num_threads(1)
    start = Library().load("unet-denoise-sem")
    before: Arrays = {key: tensor.numpy().copy() for key, tensor in start.module.state_dict().items()}
    sites = sites_of(seed)
    raw = sum(array.nbytes for array in before.values())
    courses: dict[Encoding, Course] = {}
    for encoding in ("float32", "int8", "float16"):
        courses[encoding] = federate(start, sites, encoding, rounds, steps)
        start.module.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in before.items()})
    plain = courses["float32"]
    reference_db = quality_db(start, plain.weights, sites)
    return {
        "network": {"id": start.card.id, "parameters": raw // 4},
        "rounds": rounds,
        "steps": steps,
        "sites": len(sites),
        "psnr_db": {"before": quality_db(start, before, sites), "float32": reference_db},
        "encodings": {
            name: {
                "upload_share": course.bytes_per_update / raw,
                "drift": _distance(course.sent, course.meant) / _norm(course.meant),
                "apart_from_float32": _distance(course.weights, plain.weights) / _norm(plain.weights),
                "psnr_db": (found := quality_db(start, course.weights, sites)),
                "quality_loss": (reference_db - found) / reference_db,
            }
            for name, course in courses.items()
        },
    }


def _plan(start: "LoadedNetwork", number: int, rounds: int, steps: int) -> AdaptationPlan:
    return AdaptationPlan(
        federation_id="wire-cost",
        number=number,
        rounds=rounds,
        task=Denoise(),
        config=start.card.config,
        steps=steps,
        learning_rate=3e-4,
        seed=number,
        deadline_s=1e9,
    )


def _norm(arrays: Arrays) -> float:
    return float(np.sqrt(sum(np.square(array, dtype=np.float64).sum() for array in arrays.values())))


def _distance(one: Arrays, other: Arrays) -> float:
    return _norm({key: np.subtract(one[key], other[key], dtype=np.float64) for key in one})


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--seed", type=int, default=0, help="of specimens and noise")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="of training per site and round")
    asked = parser.parse_args()
    text = json.dumps(measure(asked.seed, asked.rounds, asked.steps), indent=1)
    if asked.json is not None:
        asked.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
