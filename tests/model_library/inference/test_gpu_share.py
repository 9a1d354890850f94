"""The cap on a GPU's memory reaches every GPU, in every process that may use one."""

import subprocess
import sys

import pytest
import torch

from model_library.inference.gpu_share import cap_gpu_memory


def test_every_gpu_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a double of torch's door to the GPUs: the tests' machine has none."""
    capped = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, n: capped.update({n: share})
    )
    cap_gpu_memory(0.25)
    assert capped == {0: 0.25, 1: 0.25}


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no GPU")
def test_without_a_gpu_there_is_nothing_to_cap() -> None:
    cap_gpu_memory(0.25)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_more_than_the_share_is_refused() -> None:
    script = (
        "import torch; from model_library.inference.gpu_share import cap_gpu_memory; cap_gpu_memory(0.05);"
        "total = torch.cuda.get_device_properties(0).total_memory;"
        " torch.empty(total // 10, dtype=torch.uint8, device='cuda')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert "OutOfMemoryError" in done.stderr
