"""The planted benchmark: instruments that no recipe knows, a hidden truth, and bars that can be missed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from benchmark.cases import Case, Labels, Truth
from benchmark.cli import app
from benchmark.metrics import Metric
from benchmark.networks import as_method
from benchmark.planted.domains import DOMAINS
from benchmark.planted.library import prepare
from benchmark.planted.records import (
    Decision,
    DomainRecord,
    Planted,
    PlantedReport,
    Standing,
    bars_of,
    summarise,
)
from benchmark.planted.specialists import SHIPPED, SPECIALISTS
from benchmark.planted.trial import Trial, labelled_first, stated_look, try_domain
from benchmark.selection import Contender
from model_library.wire.methods import ClassicalRef
from model_library.zoo.recipe import read_recipe, recipe_path

TASKS = ("denoise", "segment")


@pytest.mark.parametrize("task", TASKS)
def test_there_are_five_instruments_and_twelve_networks(task):
    assert len(DOMAINS[task]) == 5
    assert len(SHIPPED[task]) + len(SPECIALISTS[task]) >= 12


@pytest.mark.parametrize(
    "domain", [each for task in TASKS for each in DOMAINS[task]], ids=lambda each: each.name
)
def test_no_recipe_of_the_library_has_this_specimen_at_this_magnification(domain):
    task = "segment" if domain.label else "denoise"
    recipes = [read_recipe(recipe_path(each)) for each in SHIPPED[task]]
    recipes += [specialist.recipe(seed=0) for specialist in SPECIALISTS[task]]
    for pool in (recipe.specimens for recipe in recipes if recipe.specimens is not None):
        low, high = pool.zoom
        assert domain.kind not in pool.kinds or not low <= domain.zoom <= high


@pytest.mark.parametrize("domain", DOMAINS["segment"], ids=lambda each: each.name)
def test_no_segmenter_learnt_an_instrument_that_differs_in_less_than_two_ways(domain):
    met = {
        operator.kind: operator for part in (domain.optics, domain.detection) for operator in part.operators
    }
    dose, gain, noise = (met.get(kind) for kind in ("shot_noise", "gain_offset", "read_noise"))
    recipes = [read_recipe(recipe_path(each)) for each in SHIPPED["segment"]]
    recipes += [specialist.recipe(seed=0) for specialist in SPECIALISTS["segment"]]
    for recipe in recipes:
        if recipe.specimens is None:
            continue
        ranges = recipe.variations
        differs = [
            domain.kind not in recipe.specimens.kinds,
            outside(domain.zoom, recipe.specimens.zoom),
            outside(dose and dose.electrons_per_pixel, ranges.electrons_per_pixel),
            outside(noise and noise.sigma, ranges.read_sigma),
            outside(gain.gain if gain else 1.0, ranges.contrast),
            domain.look == "dark" and recipe.specimens.only_dark is None,
        ]
        assert sum(differs) >= 2, recipe.id


def outside(value, bounds):
    """Whether what an instrument does was not among what a recipe draws from (None: it does not)."""
    return value is not None and (bounds is None or not bounds[0] <= value <= bounds[1])


def test_the_segmenters_are_of_several_kinds_looks_and_architectures():
    recipes = [read_recipe(recipe_path(each)) for each in SHIPPED["segment"]]
    recipes += [specialist.recipe(seed=0) for specialist in SPECIALISTS["segment"]]
    drawn = [each.specimens for each in recipes if each.specimens is not None]
    assert len({kind for pool in drawn for kind in pool.kinds}) >= 4
    assert sum(pool.only_dark is not None for pool in drawn) >= 2
    assert sum(pool.only_bright is not None for pool in drawn) >= 4
    assert len({each.network.widths for each in recipes}) >= 3
    assert any(each.variations.charging_sigma for each in recipes)


@pytest.mark.parametrize("task", TASKS)
def test_fields_are_of_one_specimen_and_come_again_from_their_seed(task):
    domain = DOMAINS[task][-1]
    first = domain.fields(5, np.random.default_rng(3), 64)
    again = domain.fields(5, np.random.default_rng(3), 64)
    assert len({case.field for case in first}) == 5
    for one, other in zip(first, again, strict=True):
        assert one.input.shape == (64, 64)
        assert one.input.dtype == np.float32
        np.testing.assert_array_equal(one.input, other.input)
    kind = Labels if task == "segment" else Truth
    assert all(isinstance(case.reference, kind) for case in first)


def test_fields_that_hold_hardly_any_of_the_structure_are_not_shown():
    shares = (0, 40, 1, 30, 50, 2, 45)
    pixels = np.zeros((10, 10), dtype=np.float32)
    fields = [
        Case(str(number), str(number), pixels, Labels((np.arange(100) < share).reshape(10, 10)))
        for number, share in enumerate(shares)
    ]
    assert [case.name for case in labelled_first(fields)] == ["1", "3", "4", "6", "0", "2", "5"]
    bare = [Case("a", "a", pixels, Truth.of(pixels))]
    assert labelled_first(bare) == tuple(bare)


@pytest.mark.parametrize(
    "domain", [each for each in DOMAINS["segment"] if each.look], ids=lambda each: each.name
)
def test_who_asks_says_of_a_structure_what_it_was_drawn_as(domain):
    for field in domain.fields(4, np.random.default_rng(2), 96):
        assert stated_look(field) is domain.look


def test_nobody_says_how_a_structure_looks_where_none_is_wanted():
    (field,) = DOMAINS["denoise"][0].fields(1, np.random.default_rng(2), 64)
    assert stated_look(field) is None


def test_a_specialist_is_trained_once_as_its_recipe_says(tmp_path):
    hasty = replace(SPECIALISTS["denoise"][0], steps=1, pool={"images": 5, "side_px": 64})
    told = []
    (first,) = prepare((), (hasty,), tmp_path, tell=told.append)
    (again,) = prepare((), (hasty,), tmp_path, tell=told.append)
    assert len(told) == 1
    assert first.card == again.card
    assert first.card.task == read_recipe(recipe_path(hasty.base)).task
    (other,) = prepare((), (replace(hasty, steps=2),), tmp_path, tell=told.append)
    assert other.card.weights_sha256 != first.card.weights_sha256
    assert len(told) == 2


class Blurring:
    """A Gaussian filter as a method."""

    scale = 1

    def __init__(self, sigma):
        self.ref = ClassicalRef(id=f"blur-{sigma}", version="1", parameters={"sigma": sigma})
        self.sigma = sigma

    def __call__(self, pixels):
        return gaussian_filter(pixels, self.sigma)


BLURS = (0.4, 1.0, 2.5, 6.0)


@pytest.fixture(scope="module")
def records():
    networks = prepare(SHIPPED["denoise"], (), None)
    contenders = [Contender(as_method(each), each.card.facts.flops_per_pixel) for each in networks]
    # Networks that ship are good at all of this; blurring too little or too much is not.
    contenders += [Contender(Blurring(sigma), 1) for sigma in BLURS]
    trial = Trial(networks[0].card.task, contenders, seed=1, side_px=96)
    return [try_domain(trial, domain, number) for number, domain in enumerate(DOMAINS["denoise"][:2])]


def test_a_short_run_decides_on_one_two_and_three_images_by_every_measure(records):
    for record in records:
        assert len(record.standings) == len(SHIPPED["denoise"]) + len(BLURS)
        truths = [each.truth for each in record.standings]
        assert truths == sorted(truths, reverse=True)
        by = {metric: [each.images for each in record.decisions if each.by is metric] for metric in Metric}
        for metric in (Metric.PSNR_SELF, Metric.PSNR_REPEAT, Metric.RING_CORRELATION, Metric.FORWARD_MISFIT):
            assert by[metric] == [1, 2, 3]
        for each in record.decisions:
            standing = {one.network: one.truth for one in record.standings}
            assert each.best == record.standings[0].network
            assert not (each.told_apart and each.winner == each.best)
            assert each.regret == pytest.approx(standing[each.best] - standing[each.winner])


def test_the_measure_that_ranks_follows_the_truth(records):
    (by_self,) = [each for each in summarise(records) if each.by is Metric.PSNR_SELF]
    assert by_self.median_spearman > 0.6
    assert by_self.median_regret < 1.0


def decision(regret, spearman=0.9, seconds=1.0, by=Metric.DICE_EXPECTED, *, told_apart=None):
    winner = "good" if regret == 0 else "other"
    return Decision(
        by=by,
        images=1,
        winner=winner,
        best="good",
        regret=regret,
        told_apart=regret > 0 if told_apart is None else told_apart,
        spearman=spearman,
        seconds=seconds,
    )


def planted(*decisions):
    record = DomainRecord(
        domain="here",
        metric=Metric.DICE,
        standings=(Standing(network="good", truth=0.9),),
        decisions=decisions,
    )
    return Planted(
        task="segment",
        networks=12,
        threads=2,
        seed=0,
        side_px=64,
        domains=(record,),
        summaries=summarise([record]),
    )


def test_bars_are_met_and_missed_one_by_one():
    def met(*decisions):
        free = [each.model_copy(update={"by": Metric.PLAUSIBILITY}) for each in decisions]
        stated = [each.model_copy(update={"by": Metric.PLAUSIBILITY_STATED, "spearman": 1}) for each in free]
        ranks = (Metric.PLAUSIBILITY_STATED, Metric.PLAUSIBILITY)
        bars = bars_of(planted(*decisions, *free, *stated), ranks, Metric.DICE_EXPECTED)
        assert bars.pop("segment: median Spearman >= 0.7 (plausibility_stated)")
        return tuple(bars.values())

    assert met(decision(0), decision(0)) == (True, True, True, True, True, True)
    assert met(decision(0), decision(0.004)) == (False, False, True, True, True, True)
    assert met(decision(0), decision(0.02, told_apart=False)) == (False, True, False, True, True, True)
    assert met(decision(0.02), decision(0.02)) == (False, False, False, False, True, True)
    assert met(decision(0, spearman=0.5)) == (True, True, True, True, False, True)
    assert met(decision(0, seconds=61)) == (True, True, True, True, True, False)


def test_what_the_truth_cannot_tell_apart_and_a_near_tie_count_as_good_but_not_as_best():
    made = (decision(0), decision(0.004, told_apart=False), decision(0.3, spearman=-0.2))
    (summary,) = planted(*made).summaries
    assert summary.indistinct_share == pytest.approx(2 / 3)
    assert summary.best_share == pytest.approx(1 / 3)
    assert summary.near_share == pytest.approx(2 / 3)
    assert (summary.median_regret, summary.worst_regret) == (0.004, 0.3)
    assert summary.least_spearman == -0.2


def test_the_command_tells_every_figure_and_writes_it(tmp_path):
    file = tmp_path / "planted.json"
    asked = ["planted", "--work", str(tmp_path / "work"), "--task", "denoise", "--domains", "1"]
    result = CliRunner().invoke(app, [*asked, "--networks", "3", "--side-px", "96", "--json", str(file)])
    assert result.exit_code == 0, result.output
    report = PlantedReport.model_validate_json(file.read_text())
    assert report.tasks[0].networks == 3
    assert len(report.bars) == 6
    for words, met in report.bars.items():
        assert f"{'met' if met else 'MISSED'}" in result.output
        assert words in result.output
    for name in ("psnr_self", "psnr_repeat", "ring_correlation", "forward_misfit"):
        assert name in result.output
