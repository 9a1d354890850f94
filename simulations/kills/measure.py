"""Rounds among processes that are killed with -9: whether all complete, what comes of them, and how soon.

`disturbed`    one process of the fleet is killed in every round; what comes of it is held against the
               same rounds without processes, with the same seed and others
`coordinator`  the coordinator is killed at random points; how soon the same round goes on

`python -m simulations.kills.measure --sites 8 --rounds 20 --json kills.json`
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from coordinator.federation.checkpoint import read_checkpoint, read_weights
from coordinator.federation.conducting import rounds_of
from coordinator.federation.fleet import Weights
from coordinator.federation.plan import read_outcome
from model_library.processes.supervisor import Supervisor
from simulations.fleet import ENVIRONMENT
from simulations.kills.fleet import LoopbackFleet, Rounds
from simulations.kills.killing import interrupt_coordinator, kill_in_every_round
from simulations.kills.network import held_out, sites_of
from simulations.measurement import parser_of, say, tell

PARTS = ("disturbed", "coordinator")
_SEEDS = (0, 1, 2, 3, 4)
"""Of the training; the first is that of the processes."""


class Measurement:
    """The parts of one measurement, on fleets of one kind.

    Parameters
    ----------
    wanted
        What each federation is to do.
    kills
        Of the coordinator.
    seed
        Of moments and victims.
    longest_s
        How long disturbed rounds are waited for.
    """

    def __init__(self, sites: int, wanted: Rounds, kills: int, seed: int, longest_s: float) -> None:
        self._sites = sites_of(sites)
        self._wanted, self._kills, self._seed = wanted, kills, seed
        self._longest_s = longest_s

    def part(self, name: str) -> dict[str, Any]:
        """Run one part on a fleet of its own, which is ended with it."""
        with (
            tempfile.TemporaryDirectory(prefix="kills-") as folder,
            Supervisor(Path(folder) / "log", ENVIRONMENT) as supervisor,
        ):
            fleet = LoopbackFleet(Path(folder), self._sites, supervisor)
            fleet.found()
            say(f"{len(self._sites)} sites are enrolled")
            begun = fleet.begin(self._wanted)
            return self._disturbed(fleet, begun) if name == "disturbed" else self._coordinator(fleet, begun)

    def _disturbed(self, fleet: LoopbackFleet, folder: Path) -> dict[str, Any]:
        killed = kill_in_every_round(fleet, folder, np.random.default_rng(self._seed), self._longest_s)
        outcome = read_outcome(folder)
        ended = ("unfinished", f"not done within {self._longest_s:g} s")
        state, cause = ended if outcome is None else (outcome.state, outcome.cause)
        found = {"state": state, "cause": cause} | counted(folder) | {"killed": killed}
        checkpoint = read_checkpoint(folder)
        if checkpoint is None:
            return found
        network = read_weights(folder / checkpoint.weights)
        return found | {"compared": self._compared(network, checkpoint.completed)}

    def _compared(self, disturbed: Weights, rounds: int) -> dict[str, Any]:
        from simulations.kills.compared import compared
        from simulations.kills.network import loopback_network
        from simulations.kills.undisturbed import undisturbed
        from simulations.small_federation import weights_of

        say("the same rounds without processes")
        start = weights_of(loopback_network())
        same, *others = [undisturbed(self._sites, start, rounds, self._wanted.seed + each) for each in _SEEDS]
        return compared(disturbed, same, others, held_out(self._sites))

    def _coordinator(self, fleet: LoopbackFleet, folder: Path) -> dict[str, Any]:
        killed = interrupt_coordinator(fleet, folder, np.random.default_rng(self._seed), self._kills)
        slowest = max(each["resumed_s"] for each in killed)
        return {"killed": killed, "slowest_s": slowest} | counted(folder)


def counted(folder: Path) -> dict[str, Any]:
    """Tell what each round counted, and whether any update counted twice.

    A round that is there twice, or that names a site twice, would have counted its update twice.
    """
    records = rounds_of(folder)
    numbers = [record.number for record in records]
    twice = len(numbers) - len(set(numbers))
    twice += sum(len(record.contributed) - len(set(record.contributed)) for record in records)
    return {
        "rounds": [
            {
                "number": record.number,
                "contributed": list(record.contributed),
                "causes": {each.site: each.cause for each in (*record.refused, *record.absent)},
                "attempt": record.attempt,
                "seconds": round(record.seconds, 1),
            }
            for record in records
        ],
        "completed": len(set(numbers)),
        "contributions": sum(len(record.contributed) for record in records),
        "counted_twice": twice,
    }


def measure(measurement: Measurement, parts: Sequence[str]) -> dict[str, Any]:
    """Run the parts one after another."""
    return {part: measurement.part(part) for part in parts}


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given again; all by default")
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=3, help="of the coordinator, in part `coordinator`")
    parser.add_argument("--quorum", type=int, default=1, help="updates that a round needs")
    parser.add_argument("--round-s", type=float, default=60.0, help="longest wait for the updates of a round")
    parser.add_argument("--longest-s", type=float, default=3600.0, help="longest wait for disturbed rounds")
    parser.add_argument("--kill-seed", type=int, default=0, help="of what is killed, and when")
    asked = parser.parse_args()
    # Standard output is for the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    wanted = Rounds(0, asked.rounds, asked.quorum, asked.round_s, 2 * asked.round_s)
    measurement = Measurement(asked.sites, wanted, asked.kills, asked.kill_seed, asked.longest_s)
    tell(measure(measurement, asked.part or PARTS), asked.json)


if __name__ == "__main__":
    main()
