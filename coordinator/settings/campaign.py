"""How campaigns compare and tune networks, and when a drift opens one."""

from pydantic import BaseModel, ConfigDict, Field


class AssessmentSettings(BaseModel):
    """How methods are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop_px: int = Field(default=256, ge=32)
    tile_px: int = Field(default=512, ge=64)


class TuningSettings(BaseModel):
    """How a network is fine-tuned to an instrument.

    `look_ahead_steps`: the leading networks are trained so many steps (never more than `steps`) on a part
    of the tuning images, and the one that is then best on the others is tuned; 0 tunes the selected one.
    `look_ahead_s`: where it takes longer, the selected one is tuned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(default=150, ge=1)
    batch: int = Field(default=8, ge=1)
    patch_px: int = Field(default=64, ge=16)
    learning_rate: float = Field(default=2e-4, gt=0)
    look_ahead_steps: int = Field(default=30, ge=0)
    look_ahead_s: float = Field(default=60.0, gt=0)
    report_every: int = Field(default=10, ge=1)


class DriftSettings(BaseModel):
    """When returned images count as a drift, and what follows; see `benchmark.drift_policy.DriftPolicy`.

    `automatic`: a drift opens a campaign; otherwise it is noted with the latest one.
    `threshold`: cumulative sum, in standard deviations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    automatic: bool = True
    allowance: float = Field(default=1.0, ge=0)
    threshold: float = Field(default=5.0, gt=0)
