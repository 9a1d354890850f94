"""A selection as a table, for people and for programs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.cases import Case
from benchmark.look import Look
from benchmark.metrics import Metric
from benchmark.selection.fit import draw_front
from benchmark.selection.ranking import Ranked, Selection, gap_in_words
from benchmark.trust.doubt import scores_in_doubt
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import Modality
from model_library.wire.base import Message
from model_library.wire.tasks import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Row(Message):
    """One network of the library.

    Attributes
    ----------
    score, ci95
        Mean over fields of view and its 95 % interval; None where it was not ranked, or for one field.
    cost_s
        Wall time that the assessment spent on it.
    mpix_per_s
        Input megapixels per second.
    keeps_up
        With the acquisition, with head-room; None where the rate or its throughput is not known.
    reason
        Why it was chosen, or not.
    """

    network: str
    score: float | None
    metric: Metric
    ci95: tuple[float, float] | None
    cost_s: float
    mpix_per_s: float | None
    keeps_up: bool | None
    reason: str


class FolderSelection(Message):
    """What `synoptic benchmark select` found out.

    Attributes
    ----------
    structure
        How the structure to segment looks, where it was stated.
    images
        Names of those that were used, in order.
    refused
        File -> why it was not read.
    noise
        `gain` in counts per electron and `read_variance` in counts^2, fitted to the images.
    acquisition
        Beam, dose, dwell and detectors, as far as the files tell.
    left_out
        Network -> why it was not run.
    doubt
        Why the scores are not to be relied on for these images; None where they are.
    rows
        The chosen one first, then by score, then those without one.
    selection
        The full record: crops, scores, intervals, costs, seed.
    """

    task: Task
    structure: Look | None = None
    images: tuple[str, ...]
    refused: dict[str, str]
    pixel_size_nm: float | None
    modality: Modality | None
    acquisition: AcquisitionRange | None
    noise: dict[str, float] | None
    left_out: dict[str, str]
    doubt: str | None = None
    rows: tuple[Row, ...]
    selection: Selection


def doubt_of(selection: Selection, cases: Sequence[Case]) -> str | None:
    """Say why a choice without truth is not to be relied on; None where it is, or was made on labels."""
    if selection.metric is Metric.PLAUSIBILITY:
        if max(one.score for one in selection.ranking) > 0:
            return None
        return "no network's result is plausible here, so nothing tells them apart; give --labels"
    return scores_in_doubt(cases)


def rows_of(selection: Selection, left_out: Mapping[str, str]) -> tuple[Row, ...]:
    """Compose the table of a selection and of the networks that were left out before."""
    fit = selection.fit
    ranked = sorted(selection.ranking, key=lambda one: one.key != selection.winner)
    rows = [
        Row(
            network=one.key,
            score=one.score,
            metric=selection.metric,
            ci95=one.ci95,
            cost_s=one.seconds,
            mpix_per_s=None if fit is None else fit.mpix_per_s[one.key],
            keeps_up=None if fit is None else fit.keeps_up[one.key],
            reason=_why(one, selection),
        )
        for one in ranked
    ]
    for key, why in (*selection.excluded.items(), *left_out.items()):
        rows.append(
            Row(
                network=key,
                score=None,
                metric=selection.metric,
                ci95=None,
                cost_s=selection.scores.seconds.get(key, 0.0),
                mpix_per_s=None,
                keeps_up=None,
                reason=why,
            )
        )
    return tuple(rows)


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Write the table for a terminal, a line each."""
    width = max(len(row.network) for row in rows)
    metric = rows[0].metric
    lines = [
        f"{'network':{width}}  {metric.titled:>18}  {'95 % interval':>18}  {'cost s':>7}  {'MPix/s':>7}"
        f"  keeps up  reason"
    ]
    for row in rows:
        score = "-" if row.score is None else f"{row.score:.{metric.decimals}f}"
        span = (
            "-"
            if row.ci95 is None
            else f"{row.ci95[0]:.{metric.decimals}f} to {row.ci95[1]:.{metric.decimals}f}"
        )
        speed = "-" if row.mpix_per_s is None else f"{row.mpix_per_s:.2f}"
        keeps = {None: "-", True: "yes", False: "no"}[row.keeps_up]
        lines.append(
            f"{row.network:{width}}  {score:>18}  {span:>18}  {row.cost_s:7.2f}  {speed:>7}  {keeps:>8}"
            f"  {row.reason}"
        )
    return lines


def front_words(selection: Selection) -> str | None:
    """Name the networks than which none is both better and faster, fastest first; None without a fit."""
    if selection.fit is None or not selection.fit.front:
        return None
    places, unit = selection.metric.decimals, selection.metric.unit
    each = [
        f"{one.key} ({one.mpix_per_s:.3g} MPix/s, {f'{one.score:.{places}f} {unit}'.strip()})"
        for one in selection.fit.front
    ]
    return f"none is both better and faster than {', '.join(each)}"


def draw_selection(axes: "Axes", selection: Selection) -> "Axes":
    """Draw quality against throughput; returns `axes`, untouched without a fit."""
    if selection.fit is None:
        return axes
    scores = {one.key: one.score for one in selection.ranking}
    return draw_front(axes, selection.fit, scores, selection.metric.titled)


def _why(one: Ranked, selection: Selection) -> str:
    if one.key == selection.winner:
        return f"chosen: {selection.reason}"
    if one.left is not None:
        return one.left
    if one.key in selection.scores.undecided:
        return selection.scores.undecided[one.key]
    if one.behind_best is None:
        return "best by score" if one.key == selection.ranking[0].key else "lower score"
    tied = "cannot be told from the best: " if one.tied else "to the best: "
    return tied + gap_in_words(one.behind_best, selection.metric, selection.near_tie)
