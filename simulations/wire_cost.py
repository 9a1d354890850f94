"""What it costs to send updates small: bytes, drift and quality, on updates that sites really trained.

`python -m simulations.wire_cost --json wire.json`
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from coordinator.federation.validation import norm
from model_library.cards.adaptation import AdaptationPlan
from model_library.wire.delta_coding import most_bytes, pack, unpack
from model_library.wire.federation import Encoding
from simulations.measurement import parser_of, say, tell
from simulations.small_federation import Arrays, SmallFederation, distance


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the rounds with one encoding.

    `sent` and `meant` are the sums over rounds and sites of what arrived and of what was trained: their
    distance is the drift. How far the networks themselves come to lie apart says little of it:
    training amplifies any difference, however small, to the same distance.
    """

    weights: Arrays
    bytes_per_update: float
    sent: Arrays
    meant: Arrays


def outcome_of(small: SmallFederation, encoding: Encoding, plan: AdaptationPlan) -> Outcome:
    """Run the rounds with updates that travel in an encoding."""
    before = small.weights()
    residuals: dict[int, Arrays] = {}
    sent, meant = ({key: np.zeros(a.shape) for key, a in before.items()} for _ in range(2))
    most, lengths = most_bytes(len(before), sum(array.size for array in before.values())), []

    def travel(number: int, place: int, update: Arrays) -> Arrays:
        packed = pack(update, encoding, residuals.get(place))
        residuals[place] = packed.residual
        lengths.append(len(packed.content))
        arrived = unpack(packed.content, most)
        for key in before:
            sent[key] += arrived[key]
            meant[key] += update[key]
        say(f"{encoding}: site {place + 1} of {len(small.sites)} in round {number} of {plan.rounds}")
        return arrived

    weights = small.federate(plan, travel)
    return Outcome(weights, float(np.mean(lengths)), sent, meant)


def measure(seed: int, rounds: int, steps: int) -> dict[str, Any]:
    """Run the rounds once per encoding, and hold them against float32."""
    small = SmallFederation.simulated(seed)
    before, plan = small.weights(), small.plan(rounds, steps)
    raw = sum(array.nbytes for array in before.values())
    encodings: tuple[Encoding, ...] = ("float32", "int8", "float16")
    outcomes = {each: outcome_of(small, each, plan) for each in encodings}
    plain = outcomes["float32"]
    reference_db = small.quality_db(plain.weights)
    return {
        "network": {"id": small.start.card.id, "parameters": raw // 4},
        "rounds": rounds,
        "steps": steps,
        "sites": len(small.sites),
        "psnr_db": {"before": small.quality_db(before), "float32": reference_db},
        "encodings": {
            name: {
                "upload_share": outcome.bytes_per_update / raw,
                "drift": distance(outcome.sent, outcome.meant) / norm(outcome.meant),
                "apart_from_float32": distance(outcome.weights, plain.weights) / norm(plain.weights),
                "psnr_db": (found := small.quality_db(outcome.weights)),
                "quality_loss": (reference_db - found) / reference_db,
            }
            for name, outcome in outcomes.items()
        },
    }


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of specimens and noise")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="of training per site and round")
    asked = parser.parse_args()
    tell(measure(asked.seed, asked.rounds, asked.steps), asked.json)


if __name__ == "__main__":
    main()
