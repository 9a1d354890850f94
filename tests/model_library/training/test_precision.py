"""Device and precision: decided once, recorded, close to float32."""

import numpy as np
import pytest
import torch

from model_library.errors import RecipeError
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.training import precision
from model_library.training.config import FitConfig
from model_library.training.fit import fit
from model_library.training.labelled import AnnotatedPairs
from model_library.training.losses import LossName
from model_library.training.precision import decide, has_bf16_instructions
from model_library.zoo.store import weights_bytes

CPU = torch.device("cpu")


def config(**changes: object) -> FitConfig:
    return FitConfig(**{"steps": 12, "batch": 4, "patch_px": 32, "learning_rate": 3e-3, **changes})


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True, "avx512_bf16": False}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_auto_takes_bf16_where_the_processor_has_instructions_for_it(
    reported: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: reported)
    assert has_bf16_instructions(CPU) is expected
    assert decide(config(precision="auto")).precision == ("bf16" if expected else "fp32")


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_what_is_asked_for_is_not_second_guessed(wanted: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "has_bf16_instructions", lambda device: pytest.fail("asked"))
    assert decide(config(precision=wanted)).precision == wanted


@pytest.mark.parametrize(
    ("present", "wanted", "expected"),
    [(True, "auto", "cuda:1"), (False, "auto", "cpu"), (True, "cpu", "cpu"), (True, "cuda", "cuda:1")],
)
def test_auto_takes_the_gpu_of_the_process_where_there_is_one(
    present: bool, wanted: str, expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert str(decide(config(device=wanted), local_rank=1).device) == expected


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match="expected a GPU"):
        decide(config(device="cuda"))


def trained(wanted: str, loss: LossName) -> tuple[torch.nn.Module, tuple[float, ...], str]:
    torch.manual_seed(0)
    segments = loss == "cross_entropy"
    start = build(UNetConfig(widths=(8, 12), out_channels=2 if segments else 1, residual=not segments))
    image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    result = fit(
        start, AnnotatedPairs([image], [(image > 0.5).astype(np.uint8)]), config(precision=wanted, loss=loss)
    )
    return result.module, result.losses, result.compute


@pytest.mark.parametrize("loss", ["mse", "ms_ssim_l1", "cross_entropy"])
def test_bf16_learns_what_fp32_learns_with_weights_and_losses_in_float32(loss: LossName):
    full, short = trained("fp32", loss), trained("bf16", loss)
    assert short[1] == pytest.approx(full[1], rel=0.05)
    assert all(parameter.dtype == torch.float32 for parameter in short[0].parameters())
    assert (full[2], short[2]) == ("fp32 on cpu", "bf16 on cpu")
    assert weights_bytes(full[0]) != weights_bytes(short[0])


def test_bf16_is_reproducible():
    assert weights_bytes(trained("bf16", "mse")[0]) == weights_bytes(trained("bf16", "mse")[0])
