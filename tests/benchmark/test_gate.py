"""The gate: planted failures are refused for the right reason, a real improvement passes."""

import numpy as np
import pytest

from benchmark.baselines import classical
from benchmark.cases import Case, Truth, repeat_cases
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.gate import judge
from benchmark.metrics import Metric
from benchmark.verdict import Entrant, GatePolicy, Role
from model_library.degradation.noise import NoiseModel
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise

NAMES = [f"stage:{number}" for number in range(6)]


def entrant(key, mean, role, *, spread=0.1, seed=0, names=NAMES, missing=(), **more):
    content = np.random.default_rng(99).normal(0, 3, len(names))
    own = np.random.default_rng([seed, len(key)]).normal(0, spread, len(names))
    scores = dict(zip(names, (mean + content + own - own.mean()).tolist(), strict=True))
    return Entrant(key=key, role=role, scores=scores | dict.fromkeys(missing), **more)


def rivals(in_service=30.0, second=29.5, classical_=28.0):
    return [
        entrant("net@1", in_service, Role.IN_SERVICE, seed=1),
        entrant("other@1", second, Role.SECOND, seed=2),
        entrant("tv", classical_, Role.CLASSICAL, seed=3),
        entrant("gaussian", classical_ - 1, Role.CLASSICAL, seed=4),
    ]


def candidate(mean, **more):
    return entrant("net@2", mean, Role.CANDIDATE, seed=5, **more)


def test_a_real_improvement_passes_and_is_assigned():
    verdict = judge(candidate(31.0), rivals())
    assert verdict.passed
    assert verdict.assigned == "net@2"
    assert verdict.best_classical == "tv"
    assert "net@2 is better than net@1 (in service): +1.00 dB [" in verdict.reasons[0]


def test_a_worse_candidate_is_refused_and_the_network_in_service_stays():
    verdict = judge(candidate(29.0), rivals())
    assert not verdict.passed
    assert verdict.assigned == "net@1"
    assert "net@2 is worse than net@1 (in service): -1.00 dB" in verdict.reasons[0]
    assert any(reason.startswith("net@1 stays in service") for reason in verdict.reasons)


def test_a_candidate_that_is_only_as_good_is_refused():
    verdict = judge(candidate(30.0), rivals())
    assert not verdict.passed
    assert verdict.assigned == "net@1"
    assert "not shown better than net@1" in verdict.reasons[0]


@pytest.mark.parametrize(("gain", "passed"), [(0.03, True), (-0.01, False), (-0.3, False)])
def test_where_ties_are_allowed_one_that_is_better_on_average_replaces_a_network(gain, passed):
    policy = GatePolicy(tie_share=0.1)
    close = [entrant("net@1", 30.0, Role.IN_SERVICE, spread=0.03, seed=1), *rivals()[2:]]
    one = entrant("net@2", 30.0 + gain, Role.CANDIDATE, spread=0.03, seed=5)
    verdict = judge(one, close, policy=policy)
    assert verdict.passed is passed
    assert not judge(one, close).passed
    if passed:
        assert (
            "better on average and at most 10% of its lead over classical algorithms worse than net@1"
            in str(verdict.reasons)
        )


def test_ties_are_for_networks_only():
    close = [entrant("tv", 30.0, Role.CLASSICAL, spread=0.03, seed=3)]
    one = entrant("net@2", 30.03, Role.CANDIDATE, spread=0.03, seed=5)
    for in_service in ((), (entrant("nlm", 30.0, Role.IN_SERVICE, spread=0.03, seed=1, classical=True),)):
        assert not judge(one, [*close, *in_service], policy=GatePolicy(tie_share=0.1)).passed


def test_a_tie_shrinks_with_the_lead_over_classical_algorithms():
    close = [entrant("net@1", 30.0, Role.IN_SERVICE, spread=0.03, seed=1)]
    one = entrant("net@2", 30.03, Role.CANDIDATE, spread=0.03, seed=5)
    for lead, passed in ((2.0, True), (0.1, False)):
        tv = entrant("tv", 30.0 - lead, Role.CLASSICAL, spread=0.03, seed=1)
        assert judge(one, [*close, tv], policy=GatePolicy(tie_share=0.1)).passed is passed


def test_a_missing_score_blocks_however_good_the_others_are():
    verdict = judge(candidate(50.0, missing=NAMES[:2]), rivals())
    assert not verdict.passed
    assert verdict.assigned == "net@1"
    assert "net@2 (candidate) has no finite score on 2 of 6 fields (stage:0, stage:1)" in verdict.reasons[0]


def test_a_field_that_a_rival_was_not_scored_on_blocks():
    short = entrant("tv", 28.0, Role.CLASSICAL, names=NAMES[:5])
    verdict = judge(candidate(31.0), [short])
    assert not verdict.passed
    assert "tv (classical) has no finite score on 1 of 6 fields" in verdict.reasons[0]


def test_too_few_fields_block():
    few = NAMES[:3]
    verdict = judge(
        entrant("net@2", 35.0, Role.CANDIDATE, names=few), [entrant("tv", 28.0, Role.CLASSICAL, names=few)]
    )
    assert not verdict.passed
    assert verdict.assigned == "tv"
    assert "only 3 fields of view" in verdict.reasons[0]


def test_first_look_without_anything_in_service_releases_a_winner_that_beats_the_classical_one():
    verdict = judge(candidate(30.0), rivals()[1:])
    assert verdict.passed
    assert len(verdict.reasons) == 2


@pytest.mark.parametrize("classical_", [30.0, 31.0])
def test_where_the_best_classical_ties_or_wins_it_is_assigned(classical_):
    verdict = judge(candidate(30.0), rivals(in_service=29.0, second=29.0, classical_=classical_))
    assert not verdict.passed
    assert verdict.assigned == "tv"
    assert any(reason.startswith("tv is assigned: no network is better") for reason in verdict.reasons)


def test_a_second_network_that_is_better_is_assigned_instead():
    verdict = judge(candidate(29.0), rivals(second=30.0)[1:])
    assert not verdict.passed
    assert verdict.assigned == "other@1"
    assert "worse than other@1 (second network)" in verdict.reasons[0]


def test_a_classical_one_in_service_gives_way_to_a_better_network_only():
    in_service = entrant("tv", 29.0, Role.IN_SERVICE, seed=6, classical=True)
    field = [in_service, entrant("gaussian", 28.0, Role.CLASSICAL, seed=7)]
    assert judge(candidate(30.0), field).assigned == "net@2"
    kept = judge(candidate(29.0), field)
    assert (kept.passed, kept.assigned) == (False, "tv")


def test_a_network_in_service_is_not_given_up_for_a_classical_one_that_the_candidate_beats():
    shaky = entrant("net@1", 28.9, Role.IN_SERVICE, spread=2.5, seed=8)
    verdict = judge(candidate(29.5), [shaky, entrant("tv", 28.5, Role.CLASSICAL, seed=9)])
    assert not verdict.passed
    assert verdict.assigned == "net@1"


def test_equal_quality_is_promoted_in_at_most_5_of_100_over_three_looks():
    rng = np.random.default_rng(0)
    names = [f"f{number}" for number in range(6)]
    promoted = 0
    for trial in range(100):
        quality = rng.normal(29, 3, 6)
        in_service = dict(zip(names, (quality + rng.normal(0, 0.2, 6)).tolist(), strict=True))
        tv = dict(zip(names, (quality - 2).tolist(), strict=True))
        field = [
            Entrant(key="net@1", role=Role.IN_SERVICE, scores=in_service),
            Entrant(key="tv", role=Role.CLASSICAL, scores=tv),
        ]
        promoted += any(
            judge(
                Entrant(
                    key=f"net@{look + 1}",
                    role=Role.CANDIDATE,
                    scores={name: in_service[name] + rng.normal(0, 0.2) for name in names},
                ),
                field,
                look=look,
                policy=GatePolicy(seed=trial),
            ).passed
            for look in (1, 2, 3)
        )
    assert promoted <= 5


def test_all_looks_together_spend_alpha_and_no_more():
    spent = [1 - GatePolicy().level(look) for look in range(1, 2000)]
    assert sum(spent) == pytest.approx(0.05, rel=1e-3)
    assert spent == sorted(spent, reverse=True)


def test_the_order_of_rivals_does_not_change_the_verdict():
    forward, backward = judge(candidate(30.6), rivals()), judge(candidate(30.6), rivals()[::-1])
    assert (forward.passed, forward.assigned) == (backward.passed, backward.assigned)


def test_a_gate_without_classical_rivals_or_with_one_name_twice_is_no_gate():
    with pytest.raises(BenchmarkError, match="classical rival"):
        judge(candidate(30.0), [entrant("net@1", 30.0, Role.IN_SERVICE)])
    with pytest.raises(BenchmarkError, match="different names"):
        judge(candidate(30.0), [*rivals(), candidate(30.0)])


class Network:
    """A network in all but the layers: some function of the image."""

    scale = 1

    def __init__(self, version, restore):
        self.ref = NetworkRef(id="net", version=version, weights_sha256="0" * 64)
        self._restore = restore

    def __call__(self, pixels):
        return self._restore(pixels)


def cases(kind):
    y, x = np.mgrid[:96, :96].astype(np.float32)
    found = []
    for number in range(6):
        rng = np.random.default_rng(number)
        phase, period = rng.uniform(0, 6, 2), rng.uniform(9, 20, 2)
        truth = 120 + 60 * np.sin(y / period[0] + phase[0]) * np.cos(x / period[1] + phase[1])
        truth = (truth + 40 * (x + y > 96)).astype(np.float32)
        noisy = (truth + rng.normal(0, 20, truth.shape)).astype(np.float32)
        found.append((f"stage:{number}", noisy, truth))
    if kind == "truth":
        return [Case(field, field, noisy, Truth.of(truth)) for field, noisy, truth in found]
    images = [(field, noisy) for field, noisy, _ in found]
    return repeat_cases(images, NoiseModel(0.0, 400.0), np.random.default_rng(7))


INCUMBENT = classical(ClassicalRef(id="tv"), Denoise())
WEAK = classical(ClassicalRef(id="gaussian", parameters={"sigma_px": 0.6}), Denoise())


def hearing(kind, restore):
    """The incumbent in service, `restore` of its result as the candidate, a weak classical rival."""
    in_service = Network("1", INCUMBENT)
    planted = Network("2", lambda pixels: restore(INCUMBENT(pixels), pixels))
    scores = evaluate([in_service, planted, WEAK], cases(kind))
    return judge(
        Entrant.of(scores, "net@2", Role.CANDIDATE),
        [Entrant.of(scores, "net@1", Role.IN_SERVICE), Entrant.of(scores, "gaussian", Role.CLASSICAL)],
        policy=GatePolicy(metric=scores.metric),
    )


@pytest.mark.parametrize("kind", ["truth", "repeat"])
def test_a_candidate_that_only_sharpens_noise_is_refused(kind):
    from scipy.ndimage import gaussian_filter

    verdict = hearing(kind, lambda restored, _: restored + 1.5 * (restored - gaussian_filter(restored, 1.5)))
    assert not verdict.passed
    assert verdict.assigned == "net@1"
    assert "net@2 is worse than net@1 (in service)" in verdict.reasons[0]


@pytest.mark.parametrize("kind", ["truth", "repeat"])
def test_a_candidate_that_gives_back_the_noise_is_refused(kind):
    verdict = hearing(kind, lambda restored, pixels: 0.5 * (restored + pixels))
    assert not verdict.passed
    assert "is worse than net@1" in verdict.reasons[0]


@pytest.mark.parametrize("kind", ["truth", "repeat"])
def test_a_candidate_whose_weights_give_nan_is_refused(kind):
    verdict = hearing(kind, lambda restored, _: restored * np.float32(np.nan))
    assert not verdict.passed
    assert verdict.assigned == "net@1"
    assert "net@2 (candidate) has no finite score on 6 of 6 fields" in verdict.reasons[0]


@pytest.mark.parametrize("kind", ["truth", "repeat"])
def test_a_candidate_of_the_wrong_shape_is_refused(kind):
    verdict = hearing(kind, lambda restored, _: restored[:-1])
    assert not verdict.passed
    assert "no finite score" in verdict.reasons[0]


@pytest.mark.parametrize("kind", ["truth", "repeat"])
def test_a_candidate_that_restores_better_passes_with_and_without_truth(kind):
    from scipy.ndimage import gaussian_filter

    verdict = hearing(kind, lambda restored, _: gaussian_filter(restored, 0.7))
    assert verdict.passed, verdict.reasons
    assert verdict.metric in (Metric.PSNR, Metric.PSNR_REPEAT)
