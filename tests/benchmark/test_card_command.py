"""What a card says was measured comes out again when its own command is given."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.real.cards import from_suite
from model_library.cards.card import CardScore
from model_library.zoo.registry import Library

CHEAPEST = "unet-segment-precipitates"


def test_the_command_on_a_card_gives_the_numbers_on_the_card():
    # The suite of real micrographs needs those.
    scores = [score for score in Library().card(CHEAPEST).scores if not from_suite(score)]
    (command,) = {score.command for score in scores}
    program, group, *arguments = shlex.split(command)
    assert (program, group) == ("synoptic", "benchmark")
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    again = [CardScore.model_validate(score) for score in json.loads(result.stdout)["scores"]]
    assert [score.metric for score in again] == [score.metric for score in scores]
    for found, told in zip(again, scores, strict=True):
        assert (found.fields, found.best_classical) == (told.fields, told.best_classical)
        for new, old in (
            (found.value, told.value),
            (found.ci95, told.ci95),
            (found.best_classical_value, told.best_classical_value),
        ):
            # Processors round differently; a pixel on the edge of two classes may change sides.
            assert new == pytest.approx(old, abs=2e-3)
