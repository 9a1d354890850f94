"""The learning rate of each step."""

import math
from typing import assert_never

from model_library.training.config import FitConfig

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4


def learning_rate_at(step: int, config: FitConfig) -> float:
    """Learning rate of a step, which counts from 0.

    `cosine` rises linearly over the share `warm_up` of the steps and falls along a cosine to zero;
    `constant` rises likewise and stays. `one_cycle` (Smith and Topin 2018, arXiv:1708.07120, with
    the constants of PyTorch) rises along a cosine from 1/25 of the peak over 30 % of the steps and
    falls along another one to 1/10,000 of where it began; it has its own warm-up.
    """
    match config.schedule:
        case "cosine" | "constant":
            warm_up = max(1, round(config.warm_up * config.steps))
            if step < warm_up:
                return config.learning_rate * (step + 1) / warm_up
            if config.schedule == "constant":
                return config.learning_rate
            progress = (step - warm_up) / max(1, config.steps - warm_up)
            return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
        case "one_cycle":
            return config.learning_rate * _one_cycle(step, config.steps)
        case _:
            assert_never(config.schedule)


def _one_cycle(step: int, steps: int) -> float:
    top = ONE_CYCLE_RISE * steps - 1
    if step <= top:
        return _between(ONE_CYCLE_START, 1.0, step / top)
    return _between(1.0, ONE_CYCLE_START * ONE_CYCLE_END, (step - top) / (steps - 1 - top))


def _between(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * share))
