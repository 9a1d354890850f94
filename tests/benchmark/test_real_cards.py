"""What a run of the real suite gave stands on the cards, beside what other commands gave."""

import json

import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.real.cards import from_suite, put_on_cards, real_scores
from benchmark.real.rows import RealRow
from benchmark.real.suite import SuiteResult
from model_library.cards.card import CardScore
from model_library.cards.rendering import card_lines
from model_library.zoo.store import save_scores


def row(case, method, value, kind="network", metric=Metric.PSNR, **changes):
    about = {
        "task": "denoise",
        "source": "s",
        "ci95": None if value is None else (value - 1, value + 1),
        "n": 4,
    }
    return RealRow(case=case, method=method, kind=kind, metric=metric, value=value, **about | changes)


@pytest.fixture
def found():
    rows = (
        row("a", "small@1.0.0", 26.0, best_classical="tv"),
        row("a", "small@1.0.0", 0.8, metric=Metric.SSIM, best_classical="tv"),
        row("a", "small@1.0.0+tuned", 29.0, kind="tuned network", best_classical="tv"),
        row("a", "tv", 25.0, kind="classical"),
        row("a", "tv", 0.7, kind="classical", metric=Metric.SSIM),
        row("b", "small@1.0.0", None, refused="its training saw it", n=0),
    )
    pooled = row("all-2-of-2", "small@1.0.0", None, difference=-0.1, difference_ci95=(-0.3, 0.1), n=9)
    return SuiteResult(rows=rows, pooled=(pooled,), skipped={}, seconds=1.0, seed=0)


def test_a_card_gets_the_first_metric_of_each_case_and_the_pooled_gain(found, small_library):
    case, gain = real_scores(small_library().card("small"), (*found.rows, *found.pooled))
    assert (case.metric, case.value, case.best_classical_value, case.fields) == ("psnr", 26.0, 25.0, 4)
    assert case.command.endswith("--networks small --cases a")
    assert (gain.metric, gain.value, gain.ci95, gain.fields) == ("psnr_gain", -0.1, (-0.3, 0.1), 9)
    assert gain.command.endswith("--networks small")


def test_the_command_on_a_card_names_what_was_asked_besides(found, small_library):
    library = small_library()
    put_on_cards(found.model_copy(update={"seed": 3, "self_ensemble": True}), library)
    commands = [score.command for score in library.card("small").scores]
    assert all("--networks small --self-ensemble --seed 3" in command for command in commands)


def test_scores_of_other_commands_stay_and_those_of_the_suite_are_replaced(found, small_library):
    library = small_library()
    small_library("absent")
    own = CardScore(suite="held-out", metric="psnr", value=1.0, ci95=(0, 2), fields=2, command="another")
    save_scores(library.path("small"), (own,))
    assert any("none on real micrographs" in text for _, text in card_lines(library.card("small")))
    for _ in range(2):
        assert put_on_cards(found, library) == {"small": 2}
        card = library.card("small")
        assert [from_suite(score) for score in card.scores] == [False, True, True]
    assert not any("none on real micrographs" in text for _, text in card_lines(card))
    assert any("Not certainly better" in limit and "all-2-of-2" in limit for limit in card.limits)
    assert library.card("absent").scores == ()


def test_the_command_tells_how_many_figures_each_card_got(found, small_library, tmp_path):
    results, told = tmp_path / "real.json", tmp_path / "told.json"
    results.write_text(found.model_dump_json())
    library = small_library()
    words = ["card-real", str(results), "--library", str(library.folder), "--json", str(told)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "2 figures on real micrographs" in done.output
    assert json.loads(told.read_text()) == {"small": 2}
    results.write_text("{}")
    with pytest.raises(BenchmarkError, match="--suite real --json"):
        CliRunner().invoke(app, words, catch_exceptions=False)
