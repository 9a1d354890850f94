"""Attacks: each is what it says, and the examination of updates sees those that it can see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.federation.fleet import Reply
from coordinator.federation.plan import FederationPlan, Member
from coordinator.federation.validation import UpdateRefused, examine
from model_library.cards.adaptation import AdaptationReport
from model_library.networks.config import UNetConfig
from model_library.wire.tasks import Denoise
from simulations.fleets.attacks import Attack, attack_of, attackers, poisoned, shuffled

WEIGHTS = {"a.kernel": np.ones((3, 2, 3, 3), np.float32), "b.bias": np.ones(3, np.float32)}
PLAN = FederationPlan(
    federation_id="attacked",
    task=Denoise(),
    config=UNetConfig(widths=(4, 8)),
    members=(Member(instrument_id="x", site="x"),),
    rounds=1,
    quorum=1,
    assemble_s=1,
    round_s=1,
    steps=1,
    learning_rate=1e-3,
)
REPORT = AdaptationReport(
    federation_id="attacked",
    number=1,
    examples=8,
    fields=("field",),
    steps=1,
    loss_first=1,
    loss_last=1,
    train_s=1,
)


def honest() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        key: np.asarray(0.01 * rng.standard_normal(each.shape), np.float32) for key, each in WEIGHTS.items()
    }


def sent(attack: Attack, seed: int = 1) -> tuple[dict[str, np.ndarray], AdaptationReport]:
    return poisoned(honest(), REPORT, attack, np.random.default_rng(seed))


@pytest.mark.parametrize("attack", [Attack.NAN, Attack.SHAPE, Attack.KEY, Attack.WEIGHT])
def test_what_is_malformed_is_refused_by_the_examination(attack: Attack) -> None:
    update, report = sent(attack)
    with pytest.raises(UpdateRefused) as refused:
        examine(Reply("m", update, report.model_dump_json()), WEIGHTS, PLAN.adaptation(1), PLAN)
    assert refused.value.offence


@pytest.mark.parametrize("attack", [Attack.SIGN_FLIP, Attack.NOISE, Attack.WRONG_TARGETS])
def test_a_lie_within_all_bounds_passes_it(attack: Attack) -> None:
    update, report = sent(attack)
    assert examine(Reply("m", update, report.model_dump_json()), WEIGHTS, PLAN.adaptation(1), PLAN)


def test_signs_are_flipped_and_scales_blown_up() -> None:
    for attack, factor in ((Attack.SIGN_FLIP, -1), (Attack.SCALE, -100), (Attack.WEIGHT, -1)):
        update, _ = sent(attack)
        for key, array in honest().items():
            np.testing.assert_array_equal(update[key], np.float32(factor) * array)


def test_noise_is_as_large_as_what_was_learned_and_follows_from_the_seed() -> None:
    update, _ = sent(Attack.NOISE)
    again, _ = sent(Attack.NOISE)
    for key, array in honest().items():
        np.testing.assert_array_equal(update[key], again[key])
        assert 0.3 < np.linalg.norm(update[key]) / np.linalg.norm(array) < 3


def test_each_malformed_attacker_does_something_else() -> None:
    assert [attack_of(Attack.MALFORMED, place) for place in range(5)] == [
        *(Attack.NAN, Attack.SHAPE, Attack.KEY, Attack.WEIGHT, Attack.NAN),
    ]
    assert attack_of(Attack.NOISE, 3) is Attack.NOISE


@given(of=st.integers(2, 60), seed=st.integers(0, 99), data=st.data())
def test_attackers_are_distinct_and_drawn_by_the_seed(of: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, of - 1))
    chosen = attackers(count, of, seed)
    assert len(set(chosen)) == count
    assert set(chosen) <= set(range(of))
    assert chosen == attackers(count, of, seed)


def test_shuffled_frames_keep_their_grey_values_and_lose_their_structure() -> None:
    frame = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint16)
    found = shuffled(frame, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(frame, axis=None))
    along = np.corrcoef(found[:, 1:].ravel(), found[:, :-1].ravel())[0, 1]
    assert abs(along) < 0.2
