"""The gate beyond the mean: no site pays for the others, and no untrusted network is released."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import gate_run
from benchmark.errors import BenchmarkError
from benchmark.gate import judge
from benchmark.metrics import Metric
from benchmark.site_losses import site_differences
from benchmark.sites import SiteCases
from benchmark.trust.findings import Check, Finding
from benchmark.verdict import Entrant, GatePolicy, Role

SITES = {f"{site}{number}": site for site in ("east", "north", "west") for number in range(4)}
INVENTS = Finding(
    check=Check.INVENTION,
    value=0.07,
    limit="at most 0.01",
    holds=False,
    told="noise alone becomes structure on 7.00% of the area",
)
UNKNOWN = INVENTS.model_copy(update={"value": None, "holds": None})


def entrant(key, role, gains, *, mean=30.0, seed=0, **more):
    """Scores at three sites of four fields each, `gains` above the mean."""
    content = np.random.default_rng(99).normal(0, 3, len(SITES))
    own = np.random.default_rng(seed).normal(0, 0.05, len(SITES))
    scores = {
        field: float(mean + content[n] + own[n] + gains.get(site, 0.0))
        for n, (field, site) in enumerate(SITES.items())
    }
    return Entrant(key=key, role=role, scores=scores, **more)


RIVALS = [entrant("net@1", Role.IN_SERVICE, {}), entrant("tv", Role.CLASSICAL, {}, mean=28.0, seed=1)]


def candidate(seed=2, **gains):
    return entrant("net@2", Role.CANDIDATE, gains, seed=seed)


def test_a_gain_at_every_site_passes():
    verdict = judge(candidate(east=0.5, north=0.4, west=0.6), RIVALS, sites=SITES)
    assert verdict.passed
    assert [site.site for site in verdict.sites] == ["east", "north", "west"]
    assert all(0 < site.at_least < site.difference for site in verdict.sites)


def test_better_on_average_but_worse_at_one_site_is_refused_and_the_site_is_named():
    one = candidate(east=0.9, north=0.8, west=-0.3)
    verdict = judge(one, RIVALS, sites=SITES)
    assert (verdict.passed, verdict.assigned) == (False, "net@1")
    assert "net@2 may lose at west against net@1" in verdict.reasons[0]
    policy = GatePolicy(site_margin_db=0.5)
    assert judge(one, RIVALS, sites=SITES, policy=policy).passed


def test_a_site_loss_within_the_margin_is_allowed():
    assert judge(candidate(east=0.6, north=0.6, west=0.02), RIVALS, sites=SITES).passed


def test_the_margin_of_a_score_without_a_unit_is_its_own():
    assert GatePolicy(metric=Metric.DICE).margin == 0.01
    assert GatePolicy().margin == 0.1


def test_without_a_method_in_service_sites_are_held_against_the_best_classical_algorithm():
    verdict = judge(candidate(east=1.0, north=1.0, west=-3.0), RIVALS[1:], sites=SITES)
    assert not verdict.passed
    assert any("may lose at west against tv" in reason for reason in verdict.reasons)


def test_a_single_site_has_no_verdict_of_its_own():
    one = dict.fromkeys(SITES, "here")
    assert judge(candidate(east=0.5, north=0.5, west=0.5), RIVALS, sites=one).sites == ()


def test_a_field_without_a_site_is_refused():
    with pytest.raises(BenchmarkError, match="site for every field"):
        judge(candidate(), RIVALS, sites={"east0": "east"})


@settings(max_examples=30, deadline=None)
@given(st.floats(-2, 2), st.integers(1, 5), st.integers(2, 6))
def test_site_means_add_up_to_the_mean_over_fields(gain, per_site, count):
    fields = {f"s{site}-{n}": f"s{site}" for site in range(count) for n in range(per_site)}
    rng = np.random.default_rng(count)
    a = {field: float(value) for field, value in zip(fields, rng.normal(gain, 1, len(fields)), strict=True)}
    b = dict.fromkeys(fields, 0.0)
    found = site_differences(a, b, fields)
    assert sum(one.difference * one.fields for one in found) == pytest.approx(sum(a.values()), abs=1e-9)
    assert all(one.at_least <= one.difference for one in found)


def test_a_candidate_that_fails_a_trust_check_is_refused_however_good_its_scores_are():
    one = candidate(east=5.0, north=5.0, west=5.0).model_copy(update={"trust": (INVENTS,)})
    verdict = judge(one, RIVALS)
    assert (verdict.passed, verdict.assigned) == (False, "net@1")
    assert verdict.reasons[0].startswith("net@2 cannot be trusted, invented structure: noise alone becomes")
    assert verdict.trust == (INVENTS,)


def test_a_check_that_could_not_be_made_blocks_nothing():
    one = candidate(east=0.5, north=0.5, west=0.5).model_copy(update={"trust": (UNKNOWN,)})
    assert judge(one, RIVALS).passed


def test_a_second_network_that_fails_a_trust_check_is_never_assigned():
    second = entrant("other@1", Role.SECOND, {}, mean=31.0, seed=3)
    weak = candidate(east=-1.0, north=-1.0, west=-1.0)
    assert judge(weak, [second, RIVALS[1]]).assigned == "other@1"
    doubtful = second.model_copy(update={"trust": (INVENTS,)})
    assert judge(weak, [doubtful, RIVALS[1]]).assigned == "tv"


def test_where_the_noise_is_no_detectors_the_reasons_say_what_scores_without_truth_are_worth():
    doubt = Finding.none(Check.FORWARD, "cannot be told: these images have other noise than a detector's")
    one = candidate(east=0.5, north=0.5, west=0.5).model_copy(update={"trust": (doubt,)})
    verdict = judge(one, RIVALS)
    assert verdict.passed
    assert verdict.reasons[-1].startswith("scores without truth are not to be relied on: these images have")
    with_truth = judge(one, RIVALS, policy=GatePolicy(metric=Metric.PSNR))
    assert not any("without truth" in reason for reason in with_truth.reasons)


def test_scores_in_doubt_take_nothing_out_of_service():
    doubt = Finding.none(Check.FORWARD, "cannot be told: these images have other noise than a detector's")
    in_service = RIVALS[0]
    rivals = [in_service, entrant("tv", Role.CLASSICAL, {}, mean=35.0, seed=1)]
    worse = candidate(east=-1.0, north=-1.0, west=-1.0)
    assert judge(worse, rivals).assigned == "tv"
    kept = judge(worse.model_copy(update={"trust": (doubt,)}), rivals)
    assert kept.assigned == in_service.key
    assert any(reason.endswith("since the scores are in doubt") for reason in kept.reasons)


@pytest.mark.parametrize("order", list(permutations([True, None, False])))
def test_of_every_site_the_worst_finding_is_told(monkeypatch, order):
    """A site whose noise tells nothing is not hidden behind one that holds, nor a failure behind either."""
    sites = {f"{site}/f": site for site in "abc"}
    monkeypatch.setattr(
        gate_run,
        "check_cases",
        lambda *_, **__: (INVENTS.model_copy(update={"holds": next(answers), "told": "as told"}),),
    )
    for fewest in (3, 2):
        answers = iter(order)
        read = SiteCases((), dict(list(sites.items())[:fewest]), {})
        [worst] = gate_run.trust_of(None, read, (), None, 0)
        said = order[:fewest]
        expected = False if False in said else None if None in said else True
        assert worst.holds is expected
        assert worst.told == f"{'abc'[said.index(expected)]}: as told"
