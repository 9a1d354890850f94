"""Plots and pictures for reports. They draw into matplotlib figures of their own and return PNG bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, ACCENT, RIVAL, MARK = "#1b2430", "#5b6775", "#0b6e8f", "#9aa7b5", "#d9722e"
_DPI = 130


@dataclass(frozen=True)
class IntervalRow:
    """One line of an interval plot; `ours` is drawn in the accent colour."""

    name: str
    value: float
    interval: tuple[float, float]
    ours: bool = False


@dataclass(frozen=True)
class Panel:
    """One picture of a montage: pixels [Y, X] of any real dtype, a title and a line below it.

    `signed` ones are differences: in a row of maps they are drawn in two colours about 0.
    """

    title: str
    pixels: NDArray[Any]
    below: str = ""
    signed: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happened at `start_s`, and lasted until `end_s` if that is given."""

    lane: str
    label: str
    start_s: float
    end_s: float | None = None


def draw_intervals(axes: "Axes", rows: Sequence[IntervalRow], label: str, zero: bool) -> "Axes":
    """Draw values with intervals, one below the other, first row on top; `zero` marks no difference."""
    for place, row in enumerate(rows):
        colour = ACCENT if row.ours else SOFT
        axes.plot(row.interval, (place, place), color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot(row.value, place, "o", color=colour, markersize=6)
    if zero:
        axes.axvline(0, color=MARK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#e6eaee", linewidth=0.8)
    return _bare(axes)


def interval_plot(rows: Sequence[IntervalRow], label: str, *, zero: bool = True) -> bytes:
    """PNG of values with intervals."""
    figure, axes = _sheet(7.2, 0.9 + 0.36 * max(len(rows), 1))
    draw_intervals(axes, rows, label, zero)
    return _png(figure)


def figure_png(draw: Callable[["Axes"], "Axes"], *, width: float = 7.2, height: float = 4.2) -> bytes:
    """PNG of one pair of axes, of which `draw` makes what it likes; sides in inches."""
    figure, axes = _sheet(width, height)
    _bare(draw(axes))
    return _png(figure)


def draw_timeline(axes: "Axes", events: Sequence[Event]) -> "Axes":
    """Draw spans as bars and instants as marks, one lane per name in order of appearance; x in seconds."""
    lanes = list(dict.fromkeys(event.lane for event in events))
    last = max((event.end_s or event.start_s for event in events), default=1.0)
    for event in events:
        place = lanes.index(event.lane)
        if event.end_s is None:
            axes.plot(event.start_s, place, "D", color=MARK, markersize=5)
            axes.annotate(event.label, (event.start_s, place), xytext=(4, 6), **_SMALL)
            continue
        width = max(event.end_s - event.start_s, last * 0.002)
        axes.barh(place, width, left=event.start_s, height=0.5, color=ACCENT, alpha=0.85)
        axes.annotate(event.label, (event.start_s, place), xytext=(1, 10), **_SMALL)
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.4, -0.8)
    axes.set_xlim(0, last * 1.08)
    axes.set_xlabel("seconds from the start")
    axes.grid(axis="x", color="#e6eaee", linewidth=0.8)
    return _bare(axes)


def timeline(events: Sequence[Event]) -> bytes:
    """PNG of what happened when."""
    figure, axes = _sheet(9.6, 1.0 + 0.55 * max(len({event.lane for event in events}), 1))
    draw_timeline(axes, events)
    return _png(figure)


def line_plot(
    series: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    marks: Sequence[tuple[str, float]] = (),
    points: bool = False,
    log2_x: bool = False,
) -> bytes:
    """PNG of curves: (name, x, y) each; `marks` are named places on the x axis, `points` shows each value.

    `log2_x` gives every doubling of x the same length.
    """
    figure, axes = _sheet(7.2, 3.0)
    if log2_x:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    for number, (name, x, y) in enumerate(series):
        colour, marker = _CURVES[number % len(_CURVES)], "o" if points else None
        axes.plot(x, y, color=colour, linewidth=1.8, marker=marker, markersize=4, label=name)
    for number, (name, x_place) in enumerate(marks):
        axes.axvline(x_place, color=MARK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(name, (x_place, 1), xycoords=("data", "axes fraction"), **(_SMALL | _above(number)))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#e6eaee", linewidth=0.8)
    if series:
        axes.legend(frameon=False, fontsize=9)
    _bare(axes)
    return _png(figure)


def montage(panels: Sequence[Panel], *, zoom_px: int = 96) -> bytes:
    """PNG of pictures side by side, each with a crop enlarged below it, all on one grey scale.

    Parameters
    ----------
    panels
        The last one sets the grey scale (1st to 99.5th percentile): put the best known image there.
        Panels of another sampling are shown at the same size, and their crop covers the same area.
    zoom_px
        Side of the crop, in pixels of the last panel; at most half of that. It lies where there is most
        detail.
    """
    from matplotlib.patches import Rectangle

    figure, grid = _sheet(2.6 * len(panels), 5.9, rows=2, columns=len(panels))
    last = panels[-1].pixels
    low, high = (float(value) for value in np.percentile(last, (1, 99.5)))
    side = max(1, min(zoom_px, *(length // 2 for length in last.shape)))
    top, left = _corner(last, side)
    for column, panel in enumerate(panels):
        zoom = panel.pixels.shape[0] / last.shape[0]
        y, x, extent = round(top * zoom), round(left * zoom), max(1, round(side * zoom))
        whole, crop = grid[0][column], grid[1][column]
        for axes, pixels in ((whole, panel.pixels), (crop, panel.pixels[y : y + extent, x : x + extent])):
            axes.imshow(pixels, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
            axes.set_axis_off()
        whole.set_title(panel.title, fontsize=10, color=INK)
        whole.add_patch(
            Rectangle((x - 0.5, y - 0.5), extent, extent, fill=False, edgecolor=MARK, linewidth=1.2)
        )
        crop.set_title(panel.below, fontsize=9, color=SOFT)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.94, bottom=0.01, wspace=0.04, hspace=0.12)
    return _png(figure, tight=False)


def map_row(panels: Sequence[Panel]) -> bytes:
    """PNG of maps side by side, each on a grey scale of its own with a bar; signed ones in two colours."""
    figure, row = _sheet(4.2 * len(panels), 3.9, columns=len(panels))
    for axes, panel in zip(np.atleast_1d(row), panels, strict=True):
        low, high = (float(value) for value in np.percentile(panel.pixels, (0.5, 99.5)))
        if panel.signed:
            low, high = -max(-low, high), max(-low, high)
        shown = axes.imshow(
            panel.pixels,
            cmap="RdBu_r" if panel.signed else "gray",
            vmin=low,
            vmax=high if high > low else low + 1,
            interpolation="nearest",
        )
        axes.set_axis_off()
        axes.set_title(panel.title, fontsize=10, color=INK)
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02).ax.tick_params(labelsize=8, colors=SOFT)
    return _png(figure)


_CURVES = (ACCENT, MARK, SOFT, "#6a8f3c", "#7a5ea8", "#b08a2e")


def _above(number: int) -> dict[str, Any]:
    """Place the labels of neighbouring marks above the axes, one below the other."""
    return {"xytext": (2, 24 - 10 * (number % 3))}


_SMALL: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": SOFT}


def _corner(pixels: NDArray[Any], side: int) -> tuple[int, int]:
    from scipy.ndimage import uniform_filter

    height, width = pixels.shape
    values = pixels.astype(np.float64)
    detail = uniform_filter(np.square(values), side) - np.square(uniform_filter(values, side))
    half = side // 2
    inner = detail[half : height - side + half + 1, half : width - side + half + 1]
    y, x = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return int(y), int(x)


def _sheet(width: float, height: float, *, rows: int = 1, columns: int = 1) -> tuple["Figure", Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=rows == 1)


def _bare(axes: "Axes") -> "Axes":
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RIVAL)
    axes.tick_params(colors=SOFT, length=0, labelsize=9)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
    axes.set_axisbelow(True)
    return axes


def _png(figure: "Figure", *, tight: bool = True) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight" if tight else None)
    return buffer.getvalue()
