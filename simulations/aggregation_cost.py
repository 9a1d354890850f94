"""What joining updates costs: memory at 10 and at 1,000 updates, and CPU beside Flower's own.

`python -m simulations.aggregation_cost --json aggregation.json`
"""

import gc
import logging
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from safetensors.numpy import save_file

from coordinator.federation import rounds
from coordinator.federation.aggregation import Update
from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.joining import aggregation_of
from coordinator.federation.plan import START_FILE, FederationPlan, Member, write_plan
from coordinator.federation.stored_arrays import StoredArrays
from coordinator.settings.algorithms import (
    Algorithm,
    FedAdam,
    FedAvg,
    FedBuff,
    Median,
    MultiKrum,
    TrimmedMean,
)
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.networks.config import UNetConfig
from model_library.wire.tasks import Denoise
from simulations.measurement import parser_of, say, tell

_STREAMING: tuple[Algorithm, ...] = (FedAvg(), FedAdam(), FedBuff())
_COLLECTING: tuple[Algorithm, ...] = (TrimmedMean(), Median(), MultiKrum(byzantine=2))
_CONFIG = UNetConfig(widths=(24, 48, 96, 192))
"""A million parameters."""


def network_of(config: UNetConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Make weights of a U-Net at random."""
    from torch import device

    from model_library.networks.build import build

    rng = np.random.default_rng(seed)
    with device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in build(config).state_dict().items()}
    return {key: rng.standard_normal(shape, np.float32) for key, shape in shapes.items()}


class LazyFleet:
    """Sites that make their updates when they are fetched, so that none waits in this process."""

    def __init__(self, members: Sequence[str]) -> None:
        self._members = frozenset(members)

    def online(self) -> frozenset[str]:
        """All of them."""
        return self._members

    def send(self, plan: AdaptationPlan, weights: Weights, to: Sequence[str], ttl_s: float) -> dict[str, str]:
        """Take note of the plan; `ttl_s` does not matter."""
        assert ttl_s > 0
        self._plan, self._shapes = plan, {key: array.shape for key, array in weights.items()}
        return {f"message-{instrument_id}": instrument_id for instrument_id in to}

    def replies(self, waiting: Sequence[str]) -> Iterator[Reply]:
        """Answer each."""
        for number, message_id in enumerate(waiting):
            rng = np.random.default_rng(number)
            update = {
                key: np.asarray(1e-3 * rng.standard_normal(shape, np.float32))
                for key, shape in self._shapes.items()
            }
            report = AdaptationReport(
                federation_id=self._plan.federation_id,
                number=self._plan.number,
                examples=8,
                fields=("field",),
                steps=1,
                loss_first=1.0,
                loss_last=0.5,
                train_s=0.1,
            )
            yield Reply(message_id, update, report.model_dump_json())


def copies_of_a_round(members: int, folder: Path) -> float:
    """Measure the peak of one whole round of the server app, in copies of the network."""
    weights = network_of(_CONFIG)
    ids = [f"instrument-{number}" for number in range(members)]
    plan = FederationPlan(
        federation_id="cost",
        task=Denoise(),
        config=_CONFIG,
        members=tuple(Member(instrument_id=each, site=each) for each in ids),
        rounds=1,
        quorum=members,
        assemble_s=1.0,
        round_s=3600.0,
        steps=1,
        learning_rate=1e-3,
    )
    write_plan(folder, plan)
    (folder / START_FILE).write_bytes(encode_weights(weights))
    size = sum(array.nbytes for array in weights.values())
    del weights
    return _peak(lambda: rounds.run(plan, LazyFleet(ids), folder)) / size


def copies_of_joining(algorithm: Algorithm, updates: int, file: Path) -> float:
    """Measure the peak of joining updates that lie in files, the network itself included."""
    weights = network_of(_CONFIG)
    size = sum(array.nbytes for array in weights.values())

    def join() -> None:
        aggregation = aggregation_of(algorithm)
        aggregation.start(weights, {})
        for _ in range(updates):
            aggregation.add(Update(StoredArrays(file)))
        aggregation.finish()

    return 1 + _peak(join) / size


def cpu_beside_flower(updates: int, repeats: int, folder: Path) -> dict[str, float]:
    """Measure the CPU seconds of joining, from what each finds: files here, arrays in messages there."""
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

    weights = network_of(_CONFIG)
    files, records = [], []
    for number in range(updates):
        update = network_of(_CONFIG, number + 1)
        files.append(folder / f"{number}.safetensors")
        save_file(update, files[-1])
        arrays = ArrayRecord({key: Array(array) for key, array in update.items()})
        records.append(
            RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": float(number + 1)})})
        )

    def ours() -> None:
        aggregation = aggregation_of(FedAvg())
        aggregation.start(weights, {})
        for number, file in enumerate(files):
            aggregation.add(Update(StoredArrays(file), float(number + 1)))
        aggregation.finish()

    # In turn, so that both meet the same machine.
    seconds = [
        (_cpu(ours), _cpu(lambda: aggregate_arrayrecords(records, "num-examples"))) for _ in range(repeats)
    ]
    mine, flowers = (float(np.median(each)) for each in zip(*seconds, strict=True))
    return {"cpu_s": mine, "flower_cpu_s": flowers, "ratio": mine / flowers}


def measure(most: int) -> dict[str, Any]:
    """Measure everything; `most` is the larger number of updates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "update.safetensors"
        save_file(network_of(_CONFIG, 1), file)
        counts = (10, most)
        whole = {}
        for members in counts:
            (folder / str(members)).mkdir()
            whole[members] = copies_of_a_round(members, folder / str(members))
            say(f"a round of {members}: {whole[members]:.2f} copies")
        streaming = {
            each.kind: {count: copies_of_joining(each, count, file) for count in counts}
            for each in _STREAMING
        }
        say("joining measured")
        collecting = {each.kind: {10: copies_of_joining(each, 10, file)} for each in _COLLECTING}
        return {
            "copies_of_the_network": {
                "whole_round": whole,
                "streaming": streaming,
                "rank_and_distance": collecting,
                "rank_and_distance_with_updates_in_memory": {
                    each.kind: {count: aggregation_of(each).copies(count) for count in counts}
                    for each in _COLLECTING
                },
            },
            "cpu_against_flower": cpu_beside_flower(20, 7, folder),
        }


def _peak(work: Callable[[], object]) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return float(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--updates", type=int, default=1000, help="the larger number of updates")
    asked = parser.parse_args()
    # The rounds tell of every update on standard output, where the figures go.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tell(measure(asked.updates), asked.json)


if __name__ == "__main__":
    main()
