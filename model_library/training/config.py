"""How a network is trained, without the machine it is trained on."""

from typing import Literal

from pydantic import Field

from model_library.training.losses import LossName
from model_library.wire.base import Message

ScheduleName = Literal["cosine", "one_cycle", "constant"]
PrecisionName = Literal["fp32", "bf16", "auto"]
DeviceName = Literal["cpu", "cuda", "auto"]


class EarlyStopping(Message):
    """When training ends before its last step.

    Every `every` steps the averaged weights are judged on `batches` batches of held-out images, the
    same ones each time. After `patience` judgements without a better one training ends; the result
    is the weights that were judged best.
    """

    every: int = Field(default=100, ge=1)
    patience: int = Field(default=5, ge=1)
    batches: int = Field(default=8, ge=1)


class FitConfig(Message):
    """How a network is trained.

    `learning_rate` is Adam's at its peak, which the `schedule` scales (see `schedules`). `ema` is
    the decay of the running mean of the weights that is the result (reached gradually, so that
    short trainings forget where they began). `clip_norm` bounds the norm of the gradient; None does
    not. `precision` and `device` may be left to the machine with `auto`; results are then equal
    only on machines that decide alike. `freeze_statistics` keeps the running statistics of batch
    normalisation as they are.
    """

    steps: int = Field(ge=1)
    batch: int = Field(default=16, ge=1)
    patch_px: int = Field(default=64, ge=8)
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: ScheduleName = "cosine"
    warm_up: float = Field(default=0.05, ge=0, lt=1)
    ema: float = Field(default=0.995, ge=0, lt=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0)
    loss: LossName = "l1"
    precision: PrecisionName = "fp32"
    device: DeviceName = "cpu"
    freeze_statistics: bool = False
    early_stopping: EarlyStopping | None = None
