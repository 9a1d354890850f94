"""A look ahead finds the better finish behind the worse start, comes again from its seed, keeps to time."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from benchmark.cases import repeat_cases
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.scores import Scores
from benchmark.selection import rank
from benchmark.selection.look_ahead import LookAhead, finalists_of, look_ahead, parted
from model_library.cards.card import NetworkCard
from model_library.degradation.noise import NoiseModel
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.training.config import FitConfig
from model_library.training.pairs import RecorruptedPairs
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise

NOISE = NoiseModel(gain=0.0, read_variance=10_000.0)
CONFIG = FitConfig(steps=30, batch=4, patch_px=32, learning_rate=1e-2, seed=3, loss="mse", ema=0.5)


def image(number):
    field = ndimage.gaussian_filter(np.random.default_rng(number).standard_normal((64, 64)), 4, mode="wrap")
    clean = 500 + 200 * field / field.std()
    return (clean + np.random.default_rng([9, number]).normal(0, 100, (64, 64))).astype(np.float32)


def network(name, module, config):
    card = NetworkCard(
        id=name,
        version="1",
        purpose="a test",
        task=Denoise(),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    return LoadedNetwork(card, module.requires_grad_(False).eval())


def planted():
    """Two networks: one gives the image back and cannot learn, one is off by a constant and can."""
    config = UNetConfig(widths=(8, 16))
    torch.manual_seed(0)
    stuck, able = build(config), build(config)
    for parameter in stuck.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        last = [each for each in able.modules() if isinstance(each, torch.nn.Conv2d)][-1]
        last.bias.fill_(0.15)
    return network("stuck", stuck, config), network("able", able, config)


@pytest.fixture
def held():
    return repeat_cases([(f"held {n}", image(n)) for n in (10, 11)], NOISE, np.random.default_rng(0), 64)


@pytest.fixture
def pairs():
    return RecorruptedPairs(images=[image(n) for n in range(4)], noise=NOISE)


def test_the_better_start_is_overtaken_by_the_better_finish(held, pairs):
    seen = look_ahead(planted(), pairs, held, CONFIG)
    assert seen.before == ("stuck@1", "able@1")
    assert seen.after == ("able@1", "stuck@1")
    assert seen.winner == "able@1"
    assert "stuck@1 starts best" in seen.reason
    by = {one.key: one for one in seen.finalists}
    assert by["able@1"].ahead > by["able@1"].start
    assert by["stuck@1"].ahead == pytest.approx(by["stuck@1"].start, abs=0.05)
    assert LookAhead.model_validate_json(seen.model_dump_json()) == seen


def test_it_comes_again_from_its_seed_and_leaves_the_networks_as_they_are(held, pairs):
    starters = planted()
    weights = [each.clone() for each in starters[1].module.state_dict().values()]
    first = look_ahead(starters, pairs, held, CONFIG)
    again = look_ahead(starters, pairs, held, CONFIG)
    other = look_ahead(starters, pairs, held, CONFIG.model_copy(update={"seed": 4}))
    assert first.model_dump(exclude={"seconds"}) == again.model_dump(exclude={"seconds"})
    assert other.finalists != first.finalists
    for before, after in zip(weights, starters[1].module.state_dict().values(), strict=True):
        assert torch.equal(before, after)
    assert not any(each.requires_grad for each in starters[1].module.parameters())


def test_out_of_time_the_order_of_the_starts_stands(held, pairs):
    ticks = itertools.count()
    seen = look_ahead(planted(), pairs, held, CONFIG, ends=lambda: next(ticks) > 5)
    assert not seen.in_time
    assert seen.winner == "stuck@1"
    assert seen.before == seen.after
    assert "time ran out" in seen.reason


def test_finalists_are_those_tied_or_near():
    means = {"best": 30.0, "near": 29.8, "third": 29.6, "fourth": 29.55, "far": 25.0}
    selection = rank(
        Scores(
            metric=Metric.PSNR_REPEAT,
            fields=("a", "b"),
            names=("a", "b"),
            refs={key: NetworkRef(id=key, version="1", weights_sha256="0" * 64) for key in means},
            values={key: (mean, mean + 1) for key, mean in means.items()},
        ),
        dict.fromkeys(means, 1),
    )
    assert finalists_of(selection) == ("best", "near", "third")
    assert finalists_of(selection, at_most=2) == ("best", "near")
    assert "far" not in finalists_of(selection, at_most=9)


def test_fields_to_train_on_and_to_score_on_are_apart():
    learn, held = parted(["c", "a", "b", "a", "d", "e", "f"])
    assert not set(learn) & set(held)
    assert sorted((*learn, *held)) == ["a", "b", "c", "d", "e", "f"]
    assert len(held) == 2
    assert parted(["a", "b"]) == (("a",), ("b",))
    with pytest.raises(BenchmarkError, match="two fields"):
        parted(["a", "a"])


def test_no_networks_are_refused(held, pairs):
    with pytest.raises(BenchmarkError, match="at least one network"):
        look_ahead([], pairs, held, CONFIG)
