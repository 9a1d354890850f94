"""Names under which a campaign keeps what it found; the overview and the stages meet here."""

from enum import StrEnum


class Stage(StrEnum):
    """What a campaign is doing, in this order."""

    WAITING = "waiting for first images"
    LABELLING = "waiting for labels"
    """For segmentation only: the images are there."""
    GATHERING = "gathering images"
    NOISE = "measuring noise"
    CLASSICAL = "tuning classical algorithms"
    SELECTING = "selecting a network"
    FIRST_GATE = "gate before the first release"
    FIRST_RELEASE = "first release"
    FINE_TUNING = "fine-tuning"
    FINAL_GATE = "gate before the final release"
    FINAL_RELEASE = "final release"
    MONITORING = "monitoring"
    FAILED = "failed"


WAITS = (Stage.WAITING, Stage.LABELLING)
"""Stages in which a campaign has not begun."""

ENDED = (Stage.MONITORING, Stage.FAILED)
"""Stages in which a campaign is over."""


class Finding(StrEnum):
    """One thing that a campaign found."""

    IMAGES = "images"
    PIXELS = "pixels"
    """Sizes, and what becomes of them with each network."""
    NOISE = "noise"
    CLASSICAL = "classical"
    SELECTION = "selection"
    LOOK_AHEAD = "look_ahead"
    FIRST_GATE = "first_gate"
    FINAL_GATE = "final_gate"
    FIRST = "first"
    TUNED = "tuned"
    FINAL = "final"
    FAILURE = "failure"
    DRIFT = "drift"
    """What opened the campaign; kept with it."""
    PACE = "pace"
    """What opened the campaign: rates that the method in service cannot keep up with."""
    UNANSWERED = "unanswered_drift"
    """What would have opened the next one, had the operator not switched that off."""
