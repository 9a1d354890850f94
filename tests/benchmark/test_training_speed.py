"""The comparison of training speeds is paired, and says what it could not measure."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmark import training_speed
from benchmark.training_speed import BF16_CHANNELS_LAST, FP32_CHANNELS_LAST, FP32_NCHW, compare, stepper

SMALL = {"batch": 2, "patch_px": 16, "widths": (4, 8)}


@pytest.mark.parametrize("variant", [FP32_NCHW, FP32_CHANNELS_LAST, BF16_CHANNELS_LAST])
def test_every_variant_takes_training_steps(variant: training_speed.Variant):
    step = stepper(variant, **SMALL)
    assert all(step() >= 0 for _ in range(3))


def test_variants_are_taken_in_turn_and_held_against_the_first(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    cost = {"fp32_nchw": 6.0, "bf16_channels_last": 2.0}

    def planted(variant: training_speed.Variant, **_: object):
        def step() -> float:
            asked.append(variant.name)
            return cost[variant.name] * len(asked)

        return step

    monkeypatch.setattr(training_speed, "stepper", planted)
    found = compare((FP32_NCHW, BF16_CHANNELS_LAST), rounds=5, **SMALL)
    assert asked[-4:] == ["fp32_nchw", "bf16_channels_last"] * 2
    assert found["fp32_nchw"]["ratio"] == 1
    assert found["bf16_channels_last"]["ratio_least"] <= found["bf16_channels_last"]["ratio"] < 3


@pytest.mark.parametrize("has_it", [True, False])
def test_a_processor_without_bf16_is_told_plainly(has_it: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training_speed, "has_bf16_instructions", lambda device: has_it)
    monkeypatch.setattr(training_speed, "WIDTHS", (4, 8))
    before = torch.get_num_threads()
    app = typer.Typer()
    app.command()(training_speed.main)
    try:
        result = CliRunner().invoke(app, ["--rounds", "1", "--batch", "1", "--patch-px", "16"])
    finally:
        torch.set_num_threads(before)
    report = json.loads(result.stdout)
    assert report["bf16_instructions"] is has_it
    assert ("bf16_channels_last" in report["variants"]) is has_it
    assert bool(report["note"]) is not has_it
