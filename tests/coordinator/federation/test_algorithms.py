"""Every algorithm: the arithmetic of its paper, held against Flower's own, and what liars can do to it."""

import gc
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import strategy
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.federation.aggregation import Aggregated, Aggregation, TooFewUpdates, Update
from coordinator.federation.fleet import Weights
from coordinator.federation.joining import aggregation_of
from coordinator.federation.robust import squared_distances
from coordinator.settings.algorithms import (
    Algorithm,
    FedAdam,
    FedAvg,
    FedBN,
    FedBuff,
    FedProx,
    FedYogi,
    Median,
    MultiKrum,
    TrimmedMean,
    fewest_updates,
)

SHAPES = {"kernel": (3, 2, 3, 3), "bias": (3,), "gain": ()}
ALL: tuple[Algorithm, ...] = (
    FedAvg(),
    FedProx(),
    FedBN(),
    FedAdam(),
    FedYogi(),
    TrimmedMean(),
    Median(),
    MultiKrum(byzantine=1),
    FedBuff(),
)
KINDS = [each.kind for each in ALL]


@pytest.fixture(autouse=True)
def _task(monkeypatch: pytest.MonkeyPatch) -> None:
    # Messages of Flower's name the run that they are made in.
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def network(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {key: np.asarray(rng.standard_normal(shape), np.float32) for key, shape in SHAPES.items()}


def changes(count: int, seed: int = 1, size: float = 0.1) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        {key: np.asarray(size * rng.standard_normal(shape), np.float32) for key, shape in SHAPES.items()}
        for _ in range(count)
    ]


def join(
    algorithm: Algorithm,
    start: Weights,
    updates: Sequence[Update],
    state: Weights | None = None,
) -> Aggregated:
    aggregation = aggregation_of(algorithm)
    aggregation.start(start, state or {})
    for update in updates:
        aggregation.add(update)
    return aggregation.finish()


def weighted(found: Sequence[Weights]) -> list[Update]:
    return [Update(each, float(place + 1)) for place, each in enumerate(found)]


def replies(start: Weights, found: Sequence[Weights]) -> list[Message]:
    """Updates as Flower gets them: whole networks with a number of examples."""
    messages = []
    for place, each in enumerate(found):
        arrays = ArrayRecord({key: Array(np.asarray(start[key] + each[key])) for key in start})
        metrics = MetricRecord({"num-examples": float(place + 1)})
        content = RecordDict({"arrays": arrays, "metrics": metrics})
        messages.append(Message(content, dst_node_id=place + 1, message_type="train"))
    return messages


def flowers(chosen: strategy.FedAvg, start: Weights, found: Sequence[Weights], number: int = 1) -> Weights:
    if isinstance(chosen, strategy.FedAdam | strategy.FedYogi):
        chosen.current_arrays = dict(start)
    arrays, _ = chosen.aggregate_train(number, replies(start, found))
    assert arrays is not None
    return {key: array.numpy() for key, array in arrays.items()}


def assert_close(one: Weights, other: Weights, tolerance: float = 2e-6) -> None:
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_allclose(one[key], other[key], rtol=0, atol=tolerance)


PEERS = {
    "mean": (FedAvg(), strategy.FedAvg),
    "prox": (FedProx(), strategy.FedAvg),
    "buffered, all fresh": (FedBuff(), strategy.FedAvg),
    "median": (Median(), strategy.FedMedian),
    "trimmed": (TrimmedMean(cut=0.2), lambda: strategy.FedTrimmedAvg(beta=0.2)),
    "krum": (
        MultiKrum(byzantine=2, keep=4),
        lambda: strategy.MultiKrum(num_malicious_nodes=2, num_nodes_to_select=4),
    ),
}


@pytest.mark.parametrize("case", PEERS)
@pytest.mark.parametrize("count", [7, 10, 11])
def test_the_arithmetic_is_flowers(case: str, count: int):
    algorithm, peer = PEERS[case]
    start, found = network(), changes(count)
    assert_close(join(algorithm, start, weighted(found)).network, flowers(peer(), start, found))


@pytest.mark.parametrize("kind", ["fedadam", "fedyogi"])
def test_server_optimisers_follow_flowers_over_rounds(kind: str):
    values = {"beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3}
    if kind == "fedadam":
        algorithm, peer = FedAdam(rate=0.02, **values), strategy.FedAdam(eta=0.02, **values)
    else:
        algorithm, peer = FedYogi(rate=0.02, **values), strategy.FedYogi(eta=0.02, **values)
    ours, theirs, state = network(), network(), {}
    for number in range(1, 6):
        found = changes(4, seed=number)
        theirs = flowers(peer, theirs, found, number)
        result = join(algorithm, ours, weighted(found), state)
        ours, state = result.network, result.state
        assert_close(ours, theirs, 1e-5)


@pytest.mark.parametrize("algorithm", ALL, ids=KINDS)
def test_keys_shapes_and_dtypes_are_those_of_the_network(algorithm: Algorithm):
    start = network() | {"batches": np.array(41, np.int64)}
    found = [each | {"batches": np.array(0.9, np.float32)} for each in changes(5)]
    result = join(algorithm, start, weighted(found)).network
    assert list(result) == list(start)
    assert {key: (a.shape, a.dtype) for key, a in result.items()} == {
        key: (a.shape, a.dtype) for key, a in start.items()
    }


@pytest.mark.parametrize("algorithm", ALL, ids=KINDS)
def test_arrays_that_do_not_travel_stay_as_they_are(algorithm: Algorithm):
    start = network()
    found = [{"kernel": each["kernel"]} for each in changes(5)]
    result = join(algorithm, start, weighted(found)).network
    assert result["bias"] is start["bias"]
    assert result["gain"] is start["gain"]
    assert not np.array_equal(result["kernel"], start["kernel"])


@pytest.mark.parametrize("algorithm", ALL, ids=KINDS)
def test_nothing_of_a_round_is_left_for_the_next(algorithm: Algorithm):
    aggregation = aggregation_of(algorithm)
    results = []
    for _ in range(2):
        aggregation.start(network(), {})
        for update in weighted(changes(5)):
            aggregation.add(update)
        results.append(aggregation.finish().network)
    assert all(np.array_equal(results[0][key], results[1][key]) for key in SHAPES)


@pytest.mark.parametrize("algorithm", ALL, ids=KINDS)
def test_without_updates_nothing_is_joined(algorithm: Algorithm):
    with pytest.raises(TooFewUpdates, match="expected at least"):
        join(algorithm, network(), [])


@pytest.mark.parametrize("algorithm", [TrimmedMean(cut=0.3), Median(), MultiKrum(byzantine=3)])
@settings(max_examples=20, deadline=None)
@given(size=st.floats(-1e6, 1e6), seed=st.integers(0, 1000))
def test_three_liars_of_ten_stay_within_what_the_honest_said(algorithm: Algorithm, size: float, seed: int):
    start = {key: np.zeros_like(array) for key, array in network().items()}
    honest = changes(7, seed)
    lies = [{key: np.full_like(array, size) for key, array in start.items()}] * 3
    result = join(algorithm, start, [Update(each) for each in (*lies, *honest)]).network
    if isinstance(algorithm, MultiKrum) and abs(size) < 1:
        return  # A lie as small as the honest updates may count; it does no harm.
    for key in start:
        stack = np.stack([each[key] for each in honest])
        assert (result[key] >= stack.min(axis=0) - 1e-6).all()
        assert (result[key] <= stack.max(axis=0) + 1e-6).all()


def test_a_mean_is_ruined_by_one_of_them():
    start = {key: np.zeros_like(array) for key, array in network().items()}
    lie = {key: np.full_like(array, 1e6) for key, array in start.items()}
    result = join(FedAvg(), start, [Update(each) for each in (lie, *changes(9))]).network
    assert float(result["gain"]) > 1e4


@pytest.mark.parametrize("count", range(3, 9))
def test_krum_needs_more_than_two_f_and_two(count: int):
    assert fewest_updates(MultiKrum(byzantine=2)) == 7
    updates = [Update(each) for each in changes(count)]
    if count > 2 * 2 + 2:
        join(MultiKrum(byzantine=2), network(), updates)
    else:
        with pytest.raises(TooFewUpdates, match=f"expected at least 7 .* found {count}"):
            join(MultiKrum(byzantine=2), network(), updates)


def test_distances_of_nearly_equal_updates_keep_their_digits():
    far = np.full((1000,), 1e4, np.float32)
    updates = [Update({"w": far + np.float32(step)}) for step in (0, 0, 1, 3)]
    expected = 1000.0 * np.array([[0, 0, 1, 9], [0, 0, 1, 9], [1, 1, 0, 4], [9, 9, 4, 0]])
    np.testing.assert_allclose(squared_distances(updates), expected, rtol=1e-9)


def test_an_old_update_counts_less_and_moves_less():
    zero, one = {"w": np.zeros(3, np.float32)}, {"w": np.ones(3, np.float32)}
    fresh, old = Update(one), Update(one, staleness=3)
    assert join(FedBuff(), zero, [fresh]).network["w"] == pytest.approx(1.0)
    assert join(FedBuff(), zero, [old]).network["w"] == pytest.approx(0.5)
    assert join(FedBuff(), zero, [fresh, old]).network["w"] == pytest.approx(0.75)


@pytest.mark.parametrize("algorithm", [FedAdam(), FedYogi()], ids=["fedadam", "fedyogi"])
def test_the_state_is_all_that_an_optimiser_remembers(algorithm: Algorithm):
    one: Aggregation = aggregation_of(algorithm)
    network_, state = network(), {}
    for number in (1, 2, 3):
        one.start(network_, state)
        for update in weighted(changes(3, number)):
            one.add(update)
        again = join(algorithm, network_, weighted(changes(3, number)), dict(state))
        result = one.finish()
        assert all(result.network[key].tobytes() == again.network[key].tobytes() for key in SHAPES)
        network_, state = result.network, result.state
    assert int(state["steps"]) == 3


@pytest.mark.parametrize(
    ("algorithm", "count", "most"),
    [
        *(
            (each, count, most)
            for each, most in ((FedAvg(), 4), (FedAdam(), 5), (FedBuff(), 4))
            for count in (3, 30)
        ),
        *((each, count, count + 4) for each in (TrimmedMean(), Median(), MultiKrum()) for count in (5, 10)),
    ],
    ids=str,
)
def test_joining_needs_no_more_memory_than_it_says(algorithm: Algorithm, count: int, most: int):
    size = 10_000
    start = {f"layer{place}": np.zeros(size, np.float32) for place in range(200)}
    state = join(algorithm, start, [Update(start)]).state if isinstance(algorithm, FedAdam) else {}
    rng = np.random.default_rng(0)
    gc.collect()
    tracemalloc.start()
    try:
        aggregation = aggregation_of(algorithm)
        aggregation.start(start, state)
        for _ in range(count):
            aggregation.add(Update({key: rng.random(size, np.float32) for key in start}))
        aggregation.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    copy = 4 * size * len(start)
    # The network itself was there before.
    assert peak / copy + 1 <= aggregation.copies(count) + 0.3
    assert aggregation.copies(count) == most
