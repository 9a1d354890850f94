"""Preparing is done once per network, and its long parts once per architecture, for a whole machine."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model_library.cards.card import NetworkCard
from model_library.errors import ExchangeError, WeightsError
from model_library.inference.backends.port import Backend, Windows
from model_library.inference.prepared import Prepared, place_of, read_prepared
from model_library.inference.self_test import self_test
from model_library.inference.weights import load_network
from model_library.networks.build import build
from model_library.networks.config import MaskRCNNConfig, NetworkConfig, ResidualDenoiserConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment
from model_library.zoo.serving import graphs, rates
from model_library.zoo.serving import prepare as preparing
from model_library.zoo.serving.child import prepare_in_child
from model_library.zoo.serving.graphs import with_weights
from model_library.zoo.serving.opening import open_network
from model_library.zoo.serving.places import usable_cache
from model_library.zoo.serving.prepare import folded, prepare
from model_library.zoo.serving.prepare_once import prepare_once
from model_library.zoo.store import save_network

NORMALISED = UNetConfig(widths=(4, 6), normalisation="batch")
TINY = ResidualDenoiserConfig(depth=3, width=4)


def planted(folder: Path, seed: int, config: NetworkConfig = TINY) -> Path:
    torch.manual_seed(seed)
    module = build(config)
    for parameter in module.parameters():
        # Biases that are all zero would share one place in the graph.
        torch.nn.init.normal_(parameter, std=0.3)
    task = Segment(classes=("background", "cell")) if isinstance(config, MaskRCNNConfig) else Denoise()
    card = NetworkCard(
        id=f"tiny-{seed}",
        version="1.0.0",
        purpose="test",
        task=task,
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    save_network(folder, module, card)
    return folder


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was exported and timed, in order."""
    done: list[str] = []

    def told(name: str, function: Callable[..., object]) -> Callable[..., object]:
        return lambda *args: (done.append(name), function(*args))[1]

    from model_library.zoo.exchange import onnx_export

    monkeypatch.setattr(onnx_export, "as_onnx", told("export", onnx_export.as_onnx))
    monkeypatch.setattr(rates.RateMeter, "rates", told("measure", rates.RateMeter.rates))
    return done


def test_other_weights_of_a_known_architecture_are_neither_exported_nor_timed(tmp_path, costs):
    first = prepare(planted(tmp_path / "a", 1), tmp_path / "cache", 1)
    assert sorted(costs) == ["export", "measure"]
    second = prepare(planted(tmp_path / "b", 2), tmp_path / "cache", 1)
    assert sorted(costs) == ["export", "measure"]
    told = [[(each.mpix_per_s, each.tile_px) for each in record.measured] for record in (first, second)]
    assert told[0] == told[1]
    assert all(each.agreement.holds(each.precision) for each in second.measured)
    assert second.graph_sha256 != first.graph_sha256


@pytest.mark.parametrize("file", ["rates.json", "network.onnx"])
def test_a_damaged_entry_costs_a_measurement_and_no_more(tmp_path, costs, file):
    prepare(planted(tmp_path / "a", 1), tmp_path / "cache", 1)
    (entry,) = (tmp_path / "cache" / "architectures").iterdir()
    (entry / file).write_bytes(b"damaged")
    costs.clear()
    record = prepare(planted(tmp_path / "b", 2), tmp_path / "cache", 1)
    assert "export" in costs
    assert all(each.agreement.holds(each.precision) for each in record.measured)
    costs.clear()
    prepare(planted(tmp_path / "c", 3), tmp_path / "cache", 1)
    assert costs == []


def test_another_architecture_or_number_of_threads_is_measured_for_itself(tmp_path, costs):
    prepare(planted(tmp_path / "a", 1), tmp_path / "cache", 1)
    prepare(planted(tmp_path / "b", 1, ResidualDenoiserConfig(depth=3, width=5)), tmp_path / "cache", 1)
    prepare(tmp_path / "a", tmp_path / "cache", 2)
    assert costs.count("measure") == 3


def test_weights_in_a_graph_are_those_that_were_put_there(tmp_path):
    modules = [
        folded(load_network(planted(tmp_path / str(seed), seed, NORMALISED)).module) for seed in (1, 2)
    ]
    image = np.random.default_rng(0).random((1, 1, 32, 32), dtype=np.float32)
    exported, known = graphs.graph_of(modules[0], image, b"")
    assert not known
    # Checked against the second module by ONNX Runtime.
    _, known = graphs.graph_of(modules[1], image, exported)
    assert known
    wrong = {"no such weight": np.zeros(3, np.float32)}
    with pytest.raises(ExchangeError, match="export the network anew"):
        with_weights(exported, wrong)


def test_what_another_process_prepared_is_not_prepared_again(tmp_path, monkeypatch):
    folder = planted(tmp_path / "a", 1)
    prepare_once(folder, tmp_path / "cache", 1)
    monkeypatch.setattr(preparing, "prepare", lambda *_: pytest.fail("prepared again"))
    prepare_once(folder, tmp_path / "cache", 1)
    assert isinstance(read_prepared(folder, tmp_path / "cache", 1)[0], Prepared)


def test_a_network_that_does_not_answer_as_its_card_says_is_refused(tmp_path):
    folder = planted(tmp_path / "a", 1)
    network = load_network(folder)
    told = self_test(network)
    lying = told.model_copy(update={"values": tuple(value + 1 for value in told.values)})
    card = network.card.model_copy(update={"self_test": lying})
    (folder / "card.json").write_text(card.model_dump_json())
    with pytest.raises(WeightsError, match="expected the answer on its card"):
        prepare_in_child(folder, tmp_path / "cache", 1, nice=1)
    assert not place_of(folder, tmp_path / "cache", 1).exists()


def test_what_torch_alone_computes_needs_no_preparing(tmp_path):
    folder = planted(tmp_path / "a", 1)
    card = (folder / "card.json").read_text().replace('"kind": "residual_denoiser"', '"kind": "mask_rcnn"')
    (folder / "card.json").write_text(card)
    prepare_once(folder, tmp_path / "cache", 1)
    assert not (tmp_path / "cache" / "networks").exists()


def test_without_other_libraries_a_network_serves_on_torch(tmp_path, monkeypatch):
    for name in ("onnxruntime_backend", "openvino_backend"):
        monkeypatch.setitem(sys.modules, f"model_library.inference.backends.{name}", None)
    monkeypatch.setitem(sys.modules, "model_library.zoo.exchange.onnx_export", None)
    folder = planted(tmp_path / "a", 1)
    network = open_network(folder, tmp_path / "cache", threads=1, prepare=prepare)
    assert network.arithmetic == "float32 by torch"


class Counting:
    """A backend that takes as long as it is told, by a clock of its own."""

    name, precision, elsewhere = "torch", "float32", True

    def __init__(self, seconds: float, clock: list[float]) -> None:
        self._seconds, self._clock, self.calls = seconds, clock, 0

    def __call__(self, windows: Windows) -> Windows:
        self.calls += 1
        self._clock[0] += self._seconds
        return windows


def test_who_is_hopelessly_slow_is_not_asked_again(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(rates.time, "perf_counter", lambda: clock[0])
    network = load_network(planted(tmp_path / "a", 1))
    fast, near, slow = (Counting(seconds, clock) for seconds in (1.0, 1.9, 2.1))
    from model_library.inference.engine import geometry_of

    meter = rates.RateMeter(geometry_of(TINY), network.card.facts.flops_per_pixel, network.module, 1)
    backends: list[Backend] = [fast, near, slow]
    found = meter.rates(backends)
    assert (fast.calls, near.calls, slow.calls) == (4, 4, 2)
    assert [found[0].mpix_per_s / each.mpix_per_s for each in found] == pytest.approx([1.0, 1.9, 2.1])


def test_a_cache_that_cannot_be_written_to_is_replaced(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert usable_cache(tmp_path / "file" / "cache", tmp_path / "own") == tmp_path / "own"
    assert usable_cache(tmp_path / "cache", tmp_path / "own") == tmp_path / "cache"


def test_networks_that_were_not_used_for_longest_are_dropped_whoever_prepares(tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "_NETWORKS_KEPT", 2)
    half_made = tmp_path / "cache" / "networks" / ".half-made"
    half_made.mkdir(parents=True)
    os.utime(half_made, (0, 0))
    folders = [planted(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    places = [place_of(folder, tmp_path / "cache", 1) for folder in folders]
    for day, (folder, place) in enumerate(zip(folders, places, strict=True), 1):
        prepare_once(folder, tmp_path / "cache", 1)
        os.utime(place, (day, day))
    assert set((tmp_path / "cache" / "networks").iterdir()) == set(places[1:])
