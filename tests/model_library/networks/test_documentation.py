"""What docs/networks.md shows works, and names every architecture and option."""

import re
import runpy
from pathlib import Path
from typing import get_args

import pytest

from model_library.networks.config import Channels, NetworkConfig, Normalisation

PAGE = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
KINDS = [get_args(each.model_fields["kind"].annotation)[0] for each in get_args(get_args(NetworkConfig)[0])]


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    runpy.run_path(str(tmp_path / "example.py"))
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "(4, 60, 80)"
    assert told[1] == "left as initialised: ('tail.0.2.bias', 'tail.0.2.weight')"
    assert told[2] == "(240, 320)"
    assert told[4].startswith("int32 [")


@pytest.mark.parametrize("name", [*KINDS, *get_args(Channels), *get_args(Normalisation)])
def test_every_architecture_and_option_is_told(name: str):
    assert f"`{name}`" in PAGE
