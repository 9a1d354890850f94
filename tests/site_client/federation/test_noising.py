"""What leaves is clipped to a norm and really carries the noise that was asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from model_library.cards.privacy import Privacy
from site_client.errors import AdaptationRefused
from site_client.federation.noising import privatise, silent


def update_of(scale: float, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "a": rng.normal(0, scale, (4, 50, 50)).astype(np.float32),
        "b": rng.normal(0, scale, 500).astype(np.float32),
        "c": np.float32(scale).reshape(()),
    }


def flat(update) -> np.ndarray:
    return np.concatenate([each.ravel() for _, each in sorted(update.items())]).astype(np.float64)


@given(st.floats(1e-4, 1e4), st.floats(1e-3, 1e3))
def test_without_noise_to_speak_of_the_norm_is_within_the_bound(scale, clip_norm) -> None:
    update, privacy = update_of(scale), Privacy(clip_norm=clip_norm, noise_multiplier=1e-9)
    private = flat(privatise(update, privacy, np.random.default_rng(1)))
    assert np.linalg.norm(private) <= clip_norm * (1 + 1e-4)
    # The direction stays, and an update within the bound is not touched.
    expected = flat(update) * min(1.0, clip_norm / np.linalg.norm(flat(update)))
    assert np.allclose(private, expected, rtol=1e-4, atol=1e-5 * clip_norm)


@pytest.mark.parametrize(("clip_norm", "multiplier"), [(1.0, 1.0), (0.1, 8.0), (30.0, 0.5)])
def test_the_noise_is_gaussian_of_the_deviation_asked_for(clip_norm, multiplier) -> None:
    update = update_of(10.0)
    private = privatise(
        update, Privacy(clip_norm=clip_norm, noise_multiplier=multiplier), np.random.default_rng(2)
    )
    shrunk = flat(update) * clip_norm / np.linalg.norm(flat(update))
    noise = (flat(private) - shrunk) / (clip_norm * multiplier)
    assert noise.mean() == pytest.approx(0.0, abs=5 / noise.size**0.5)
    assert noise.std() == pytest.approx(1.0, abs=5 / (2 * noise.size) ** 0.5)
    assert kstest(noise, "norm").pvalue > 1e-4
    # Independent from number to number.
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 5 / noise.size**0.5


def test_keys_shapes_and_dtype_stay() -> None:
    update = update_of(1.0)
    private = privatise(update, Privacy(clip_norm=1.0, noise_multiplier=1.0), np.random.default_rng(3))
    assert {key: each.shape for key, each in private.items()} == {k: each.shape for k, each in update.items()}
    assert {each.dtype for each in private.values()} == {np.dtype(np.float32)}


def test_an_update_of_nothing_becomes_noise_all_the_same() -> None:
    zeros = {"a": np.zeros(10_000, np.float32)}
    private = privatise(zeros, Privacy(clip_norm=2.0, noise_multiplier=3.0), np.random.default_rng(4))
    assert private["a"].std() == pytest.approx(6.0, rel=0.05)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_no_noise_could_hide_does_not_leave(wrong) -> None:
    with pytest.raises(AdaptationRefused, match="finite"):
        privatise(
            {"a": np.float32([1.0, wrong])},
            Privacy(clip_norm=1.0, noise_multiplier=1.0),
            np.random.default_rng(5),
        )


def test_a_private_report_tells_no_loss(report_of) -> None:
    report = silent(report_of(judged_before=1.0, judged_after=0.5, judged_frames=2))
    told = report.model_dump()
    assert not any(told[name] for name in told if name.startswith(("loss", "judged")))
    assert (report.examples, report.steps, report.fields) == (5, 4, ("stage:a",))
