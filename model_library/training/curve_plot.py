"""The curve of a training as a picture; needs matplotlib, of the extra `benchmark`."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from model_library.training.curve import CurvePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS, JUDGED, RATE = "#0b6e8f", "#d9722e", "#9aa7b5"
_SMOOTHED_SHARE = 0.02


def draw_curve(axes: "Axes", points: Sequence[CurvePoint]) -> "Axes":
    """Draw the loss (faint, and its running mean), the held-out loss, and the learning rate behind them."""
    steps = np.array([point.step for point in points])
    losses = np.array([point.loss for point in points])
    window = max(1, round(_SMOOTHED_SHARE * len(points)))
    means = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    axes.plot(steps, losses, color=LOSS, linewidth=0.6, alpha=0.3)
    axes.plot(steps[window - 1 :], means, color=LOSS, linewidth=1.8, label=f"loss, mean of {window} steps")
    judged = [(point.step, point.validation) for point in points if point.validation is not None]
    if judged:
        axes.plot(*zip(*judged, strict=True), "o-", color=JUDGED, linewidth=1.8, label="held-out images")
    rates = axes.twinx()
    rates.plot(steps, [point.learning_rate for point in points], color=RATE, linewidth=1, linestyle="--")
    rates.set_ylabel("learning rate (dashed)", color=RATE)
    if losses.size and losses.min() > 0:
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    return axes


def curve_png(points: Sequence[CurvePoint]) -> bytes:
    """PNG of a curve.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    draw_curve(figure.subplots(), points)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=130)
    return content.getvalue()
