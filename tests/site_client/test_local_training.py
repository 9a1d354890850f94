"""A network adapted here serves only where it is shown to be better on fields that it never saw."""

import time
from pathlib import Path

import numpy as np
import pytest

from model_library.cards.adaptation import AdaptationReport
from model_library.cards.card import NetworkCard
from model_library.inference.self_test import check_self_test
from model_library.inference.weights import load_network
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig
from model_library.networks.facts import facts
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise, Segment
from model_library.zoo.store import save_network
from site_client import local_training
from site_client.adapt import TrainingFrame
from site_client.errors import AdaptationRefused
from site_client.local_training import FEWEST_FIELDS, LocalTask, adapt_locally, is_checked

CONFIG = ResidualDenoiserConfig(depth=3, width=8)
LAST = "noise.4.weight"
BAD = 0.4


def micrograph(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clean = np.full((128, 128), 60.0)
    for _ in range(12):
        y, x = rng.integers(0, 108, 2)
        clean[y : y + 20, x : x + 20] = rng.uniform(100, 400)
    return rng.poisson(clean).astype(np.float32)


@pytest.fixture(scope="module")
def frames() -> list[TrainingFrame]:
    return [TrainingFrame(micrograph(n), f"stage:{n}", 4.0) for n in range(24)]


@pytest.fixture
def in_service(tmp_path) -> LocalTask:
    """A network that is off by a known disturbance: the best one here is that without it."""
    module = build(CONFIG)
    rng = np.random.default_rng(7)
    for key, tensor in module.state_dict().items():
        scale = BAD if key == LAST else 0.0 if key.startswith("noise.4") else 0.3
        tensor.copy_(tensor.new_tensor(scale * rng.standard_normal(tuple(tensor.shape))))
    card = NetworkCard(
        id="tiny-8",
        version="3",
        purpose="Tests.",
        task=Denoise(),
        config=CONFIG,
        facts=facts(CONFIG),
        weights_sha256="0" * 64,
        pixel_size_nm=(3.0, 5.0),
    )
    saved = save_network(tmp_path / "present", module, card)
    ref = NetworkRef(id=saved.id, version=saved.version, weights_sha256=saved.weights_sha256)
    networks = tmp_path / "networks"
    networks.mkdir()
    return LocalTask(ref, tmp_path / "present", networks, steps=3, seed=1, look=1)


def planted(monkeypatch, change) -> None:
    """Stand in for the training: an update that is known to help or to harm."""

    def adapt(material, weights, plan, *, stop, clock):
        assert not any(is_checked(frame.field) for frame in material.frames)
        update = {key: np.zeros_like(array) for key, array in weights.items()}
        update[LAST] = change(weights[LAST]).astype(np.float32)
        report = AdaptationReport(
            federation_id=plan.federation_id,
            number=plan.number,
            examples=len(material.frames),
            fields=tuple(sorted({frame.field for frame in material.frames})),
            steps=plan.steps,
            train_s=0.0,
        )
        return update, report

    monkeypatch.setattr(local_training, "adapt", adapt)


def go(task: LocalTask, frames, **changes):
    return adapt_locally(task, frames, **{"stop": lambda: False, "clock": time.monotonic} | changes)


def test_a_better_network_is_accepted_and_says_where_it_is_from(in_service, frames, monkeypatch) -> None:
    planted(monkeypatch, lambda present: -present)
    result = go(in_service, frames)
    assert result.network is not None
    assert result.interval[0] > 0
    loaded = load_network(in_service.networks / result.network.weights_sha256)
    check_self_test(loaded)
    card = loaded.card
    assert (card.id, card.version) == ("tiny-8", f"3+local.{card.weights_sha256[:8]}")
    assert card.lineage.parent_weights_sha256 == in_service.ref.weights_sha256
    assert card.lineage.campaign == "local"
    assert not any(is_checked(field) for field in card.lineage.tuned_fields)
    assert "is better after 3 steps" in result.told()


@pytest.mark.parametrize(
    "change",
    [lambda present: 0.5 * present, lambda present: 0.0 * present, lambda present: present[:, :, ::-1]],
    ids=["more of the disturbance", "no change at all", "another disturbance"],
)
def test_a_network_that_is_not_shown_better_is_refused_and_leaves_nothing(
    in_service, frames, monkeypatch, change
) -> None:
    planted(monkeypatch, change)
    result = go(in_service, frames)
    assert result.network is None
    assert list(in_service.networks.iterdir()) == []
    assert "is not shown better" in result.told()


def test_each_look_at_the_same_frames_asks_for_more(in_service, frames, monkeypatch) -> None:
    planted(monkeypatch, lambda present: -0.02 * present)
    levels, lows = [], []
    for look in (1, 2, 5):
        task = LocalTask(
            in_service.ref, in_service.folder, in_service.networks, in_service.steps, in_service.seed, look
        )
        result = go(task, frames)
        levels.append(result.level)
        lows.append(result.interval[0])
    assert levels == sorted(levels)
    assert lows == sorted(lows, reverse=True)


def test_training_itself_makes_a_disturbed_network_better(in_service, frames) -> None:
    task = LocalTask(
        in_service.ref, in_service.folder, in_service.networks, steps=60, seed=in_service.seed, look=1
    )
    result = go(task, frames)
    assert result.network is not None
    assert result.steps == 60


def test_the_same_frames_and_seed_give_the_same_network(in_service, frames, tmp_path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        task = LocalTask(in_service.ref, in_service.folder, tmp_path / name, steps=20, seed=4, look=1)
        found.append(go(task, frames))
    assert found[0] == found[1]


def test_about_a_third_of_the_fields_is_for_checking_and_always_the_same() -> None:
    checked = [f for f in (f"stage:{n}" for n in range(3000)) if is_checked(f)]
    assert 900 < len(checked) < 1100
    assert all(is_checked(field) for field in checked)


def test_too_few_fields_to_check_on_are_refused(in_service, frames) -> None:
    few = [frame for frame in frames if not is_checked(frame.field)]
    few += [frame for frame in frames if is_checked(frame.field)][: FEWEST_FIELDS - 1]
    with pytest.raises(AdaptationRefused, match=f"{FEWEST_FIELDS} other fields"):
        go(in_service, few)


def test_frames_whose_pixels_the_network_was_not_made_for_teach_nothing(in_service, frames) -> None:
    coarse = [TrainingFrame(frame.pixels, frame.field, 40.0) for frame in frames]
    with pytest.raises(AdaptationRefused, match="found none among 24"):
        go(in_service, coarse)


def test_a_microscope_that_acquires_all_the_time_ends_it(in_service, frames, monkeypatch) -> None:
    with pytest.raises(AdaptationRefused, match="at least one step"):
        go(in_service, frames, stop=lambda: True)
    planted(monkeypatch, lambda present: -present)
    with pytest.raises(AdaptationRefused, match="time to check"):
        go(in_service, frames, stop=lambda: True)
    assert list(in_service.networks.iterdir()) == []


def test_a_network_of_another_release_or_for_labels_is_refused(in_service, frames) -> None:
    other = LocalTask(
        in_service.ref.model_copy(update={"weights_sha256": "1" * 64}),
        in_service.folder,
        in_service.networks,
        1,
        1,
        1,
    )
    with pytest.raises(AdaptationRefused, match="tiny-8"):
        go(other, frames)
    card: Path = in_service.folder / "card.json"
    segmenting = Segment(classes=("background", "cell"))
    told = NetworkCard.model_validate_json(card.read_bytes()).model_copy(update={"task": segmenting})
    card.write_text(told.model_dump_json())
    with pytest.raises(AdaptationRefused, match="without labels"):
        go(in_service, frames)
