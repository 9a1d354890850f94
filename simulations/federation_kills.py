"""Rounds among processes that are killed with -9: whether all complete, what comes of them, and how soon.

`undisturbed`  rounds without kills, once for each of two seeds
`disturbed`    one random process of the fleet is killed in every round
`coordinator`  the coordinator is killed at random points; how soon the same round goes on

The networks that came of it are kept in FOLDER/networks, and held against each other whenever an
undisturbed and a disturbed one are there: the parts can be run one by one.

`python -m simulations.federation_kills FOLDER --sites 8 --rounds 20 --json kills.json`
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coordinator.federation.checkpoint import read_weights
from coordinator.federation.conducting import rounds_of
from coordinator.federation.plan import read_outcome
from model_library.images.durable import write_durably
from model_library.processes.supervisor import Supervisor
from simulations.fleet import ENVIRONMENT
from simulations.killing import interrupt_coordinator, kill_in_every_round
from simulations.loopback_federation import LoopbackFleet, Rounds
from simulations.loopback_network import held_out, sites_of
from simulations.measurement import parser_of, say, tell

PARTS = ("undisturbed", "disturbed", "coordinator")
_SEEDS = (0, 1)


class Measurement:
    """The parts of one measurement, on fleets of one kind.

    Parameters
    ----------
    folder
        Of the networks that are kept.
    wanted
        What each federation is to do.
    kills
        Of the coordinator.
    seed
        Of moments and victims.
    """

    def __init__(self, folder: Path, sites: int, wanted: Rounds, kills: int, seed: int) -> None:
        self._networks = folder / "networks"
        self._networks.mkdir(parents=True, exist_ok=True)
        self._sites = sites_of(sites)
        self._wanted, self._kills, self._seed = wanted, kills, seed

    def part(self, name: str) -> dict[str, Any]:
        """Run one part on a fleet of its own, which is ended with it."""
        with (
            tempfile.TemporaryDirectory(prefix="kills-") as folder,
            Supervisor(Path(folder) / "log", ENVIRONMENT) as supervisor,
        ):
            fleet = LoopbackFleet(Path(folder), self._sites, supervisor)
            fleet.found()
            say(f"{len(self._sites)} sites are enrolled")
            match name:
                case "undisturbed":
                    return {str(seed): self._undisturbed(fleet, seed) for seed in _SEEDS}
                case "disturbed":
                    return self._disturbed(fleet)
                case _:
                    return self._coordinator(fleet)

    def compared(self) -> dict[str, Any] | None:
        """Hold the disturbed network against the undisturbed ones; None while one of them is missing."""
        paths = [self._networks / f"{name}.safetensors" for name in ("disturbed-0", *_UNDISTURBED)]
        if not all(path.exists() for path in paths):
            return None
        from simulations.kills_compared import compared

        disturbed, same, other = map(read_weights, paths)
        return compared(disturbed, same, other, held_out(self._sites))

    def _undisturbed(self, fleet: LoopbackFleet, seed: int) -> dict[str, Any]:
        folder = fleet.begin(self._seeded(seed))
        fleet.until(lambda: read_outcome(folder) is not None, self._longest_s, "the rounds to end")
        return self._ended(folder, f"undisturbed-{seed}")

    def _disturbed(self, fleet: LoopbackFleet) -> dict[str, Any]:
        folder = fleet.begin(self._seeded(0))
        killed = kill_in_every_round(fleet, folder, np.random.default_rng(self._seed), self._longest_s)
        return self._ended(folder, "disturbed-0") | {"killed": killed}

    def _coordinator(self, fleet: LoopbackFleet) -> dict[str, Any]:
        folder = fleet.begin(self._seeded(0))
        killed = interrupt_coordinator(fleet, folder, np.random.default_rng(self._seed), self._kills)
        slowest = max(each["resumed_s"] for each in killed)
        return {"killed": killed, "slowest_s": slowest} | counted(folder)

    def _ended(self, folder: Path, name: str) -> dict[str, Any]:
        outcome = read_outcome(folder)
        assert outcome is not None
        if outcome.weights is not None:
            kept = (folder / outcome.weights).read_bytes()
            write_durably(self._networks / f"{name}.safetensors", kept)
        say(f"{name}: {outcome.state}")
        return {"state": outcome.state, "cause": outcome.cause} | counted(folder)

    def _seeded(self, seed: int) -> Rounds:
        return replace(self._wanted, seed=seed)

    @property
    def _longest_s(self) -> float:
        return 3 * self._wanted.rounds * self._wanted.round_s + self._wanted.assemble_s


_UNDISTURBED = tuple(f"undisturbed-{seed}" for seed in _SEEDS)


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
    found = {part: measurement.part(part) for part in parts}
    return found | {"compared": measurement.compared()}


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, help="where networks are kept from one call to the next")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given again; all by default")
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=3, help="of the coordinator, in part `coordinator`")
    parser.add_argument("--quorum", type=int, default=1, help="updates that a round needs")
    parser.add_argument("--round-s", type=float, default=60.0, help="longest wait for the updates of a round")
    parser.add_argument("--kill-seed", type=int, default=0, help="of what is killed, and when")
    asked = parser.parse_args()
    wanted = Rounds(0, asked.rounds, asked.quorum, asked.round_s, 2 * asked.round_s)
    measurement = Measurement(asked.folder, asked.sites, wanted, asked.kills, asked.kill_seed)
    tell(measure(measurement, asked.part or PARTS), asked.json)


if __name__ == "__main__":
    main()
