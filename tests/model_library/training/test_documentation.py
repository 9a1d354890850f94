"""What docs/training.md shows works, and names every option."""

import re
import runpy
from pathlib import Path
from typing import get_args

import pytest

from model_library.training.config import FitConfig, ScheduleName
from model_library.training.losses import RestoringLoss, SegmentingLoss

PAGE = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "example.py"))
    assert re.match(r"(bf16|fp32) on \w+ Judgement\(step=", capsys.readouterr().out)
    assert (tmp_path / "checkpoint" / "checkpoint.json").exists()


@pytest.mark.parametrize(
    "name",
    [*FitConfig.model_fields, *get_args(ScheduleName), *get_args(RestoringLoss), *get_args(SegmentingLoss)],
)
def test_every_option_is_told(name: str):
    assert f"`{name}`" in PAGE
