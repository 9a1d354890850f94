"""What noise costs: quality against epsilon, for updates that sites really trained.

`python -m simulations.privacy_cost --json privacy.json`
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coordinator.federation.validation import norm
from model_library.cards.privacy import Privacy, epsilon
from simulations.measurement import parser_of, say, tell
from simulations.small_federation import Arrays, SmallFederation
from site_client.federation.noising import privatise

_MULTIPLIERS = (1.0, 4.0)
_CROWDS = (1, 100)
_LAYERS: Mapping[str, tuple[str, ...]] = {"all": (), "head": ("head",)}


@dataclass(frozen=True, slots=True)
class Course:
    """How the rounds are run: which arrays travel (None: all), with what noise, among how many.

    Each of the three sites stands for `crowd` that are like it: of the mean of so many updates with noise of
    their own, 1 / sqrt(crowd) of the noise is left.
    """

    rounds: int
    steps: int
    travels: tuple[str, ...] | None
    privacy: Privacy | None = None
    crowd: int = 1


def trained(small: SmallFederation, course: Course, seed: int) -> tuple[Arrays, list[float]]:
    """Run rounds of federated averaging; returns the network and the norms of the updates as trained."""
    norms = []

    def travel(number: int, place: int, update: Arrays) -> Arrays:
        norms.append(norm(update))
        rng = np.random.default_rng([seed, number, place])
        return update if course.privacy is None else _crowded(update, course, rng)

    plan = small.plan(course.rounds, course.steps).model_copy(update={"travels": course.travels})
    return small.federate(plan, travel), norms


def _crowded(update: Arrays, course: Course, rng: np.random.Generator) -> Arrays:
    assert course.privacy is not None
    noise = course.privacy.noise_multiplier / course.crowd**0.5
    return privatise(update, course.privacy.model_copy(update={"noise_multiplier": noise}), rng)


def measure(seed: int, rounds: int, steps: int) -> dict[str, Any]:
    """Run the rounds without noise, and with noise for all arrays and for the last layer alone."""
    from model_library.networks.parts import keys_under

    small = SmallFederation.simulated(seed, held_out=1)
    before = small.weights()
    told: dict[str, Any] = {
        "network": small.start.card.id,
        "rounds": rounds,
        "steps": steps,
        "psnr_db_before": small.quality_db(before),
        "courses": [],
    }

    def run(name: str, course: Course) -> list[float]:
        weights, norms = trained(small, course, seed)
        found = {
            "layers": name,
            "parameters": sum(a.size for key, a in before.items() if key in (course.travels or before)),
            "sites": len(small.sites) * course.crowd,
            **({} if course.privacy is None else course.privacy.model_dump()),
            "epsilon": None if course.privacy is None else epsilon({course.privacy.noise_multiplier: rounds}),
            "psnr_db": small.quality_db(weights),
        }
        told["courses"].append(found)
        say(json.dumps(found))
        return norms

    for name, layers in _LAYERS.items():
        travels = keys_under(small.start.card.config, layers) if layers else None
        # What updates usually have: of less, the noise would be less, and so would what is learned.
        clip_norm = float(np.median(run(name, Course(rounds, steps, travels))))
        for multiplier in _MULTIPLIERS:
            for crowd in _CROWDS:
                privacy = Privacy(clip_norm=clip_norm, noise_multiplier=multiplier)
                run(name, Course(rounds, steps, travels, privacy, crowd))
    return told


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of specimens and noise")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="of training per site and round")
    asked = parser.parse_args()
    tell(measure(asked.seed, asked.rounds, asked.steps), asked.json)


if __name__ == "__main__":
    main()
