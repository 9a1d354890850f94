"""The final report's scores: methods run afresh on acquired frames and held against the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from benchmark.baselines import classical
from benchmark.cases import Case, Labels, Reference, Truth, repeat_cases
from benchmark.compare import Comparison, compare
from benchmark.evaluate import evaluate, evaluate_all
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores, method_key
from model_library.degradation.noise import estimate_noise
from model_library.images.frame import Grey
from model_library.images.readers import read_frame
from model_library.wire.base import Message
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Segment, SuperResolve, Task
from simulations.journal import Acquisition

UNTREATED = "untreated"


class Untreated:
    """The acquired image as it is; for super-resolution, enlarged by bicubic interpolation."""

    def __init__(self, task: Task) -> None:
        enlarges = isinstance(task, SuperResolve)
        self._enlarge = classical(ClassicalRef(id="bicubic"), task) if enlarges else None
        self.scale = task.scale
        self.ref = ClassicalRef(id=UNTREATED)

    def __call__(self, pixels: Grey) -> Grey:
        """Return float32 [Y, X] in counts at the size of a result."""
        return pixels if self._enlarge is None else self._enlarge(pixels)


class Scored(Message):
    """One method on the held-out frames: mean over fields of view, by metric."""

    key: str
    means: dict[Metric, float | None]


class SiteScores(Message):
    """What the methods of one site achieve on held-out frames.

    `difference` is the method in service minus the best classical one, paired over fields, in the
    unit of `metric`; None where fewer than two fields were held out or a score is missing.
    """

    metric: Metric
    frames: int = Field(ge=0)
    fields: int = Field(ge=0)
    final: str | None
    first: str | None
    best_classical: str | None
    methods: tuple[Scored, ...]
    difference: Comparison | None
    difference_to_first: Comparison | None

    def mean(self, key: str | None, metric: Metric | None = None) -> float | None:
        """Mean score of a method over fields, None where it has none."""
        found = {scored.key: scored.means for scored in self.methods}
        return None if key is None or key not in found else found[key].get(metric or self.metric)


class PairScores(Message):
    """Two methods on the same held-out frames; the difference is `after` minus `before`, over fields."""

    metric: Metric
    before: float | None
    after: float | None
    difference: Comparison | None
    frames: int = Field(ge=0)
    fields: int = Field(ge=0)


def truth_cases(
    frames: Sequence[Acquisition], acquisitions: Path, truth: Path, task: Task
) -> tuple[Case, ...]:
    """Pair acquired frames with their truth: a noise-free image, or a mask of all that is no background."""
    cases = []
    for frame in frames:
        known = read_frame(truth / frame.name)
        reference: Reference = Labels(known.pixels > 0) if isinstance(task, Segment) else Truth.of(known.grey)
        cases.append(Case(frame.field, frame.name, read_frame(acquisitions / frame.name).grey, reference))
    return tuple(cases)


def cases_without_truth(frames: Sequence[Acquisition], acquisitions: Path, seed: int) -> tuple[Case, ...]:
    """Make cases of acquired frames alone, by recorruption."""
    images = [(frame.field, read_frame(acquisitions / frame.name).grey) for frame in frames]
    noise = estimate_noise([pixels for _, pixels in images])
    return repeat_cases(images, noise, np.random.default_rng(seed))


def score_site(
    cases: Sequence[Case],
    *,
    final: Method | None,
    first: Method | None,
    rivals: Sequence[Method],
    task: Task,
    seed: int,
) -> SiteScores:
    """Score methods on held-out cases.

    Parameters
    ----------
    cases
        Of frames in fields that no method was chosen or tuned on.
    final, first
        What is in service, and what was before any fine-tuning.
    rivals
        Classical methods as the coordinator tuned them; the best of them on these very cases is the
        one that the method in service is held against.
    task, seed
        Of the site; of the bootstrap.
    """
    metrics = _metrics(cases, task)
    metric = metrics[0]
    named = {method_key(each.ref): each for each in (final, first, *rivals) if each is not None}
    if not isinstance(task, Segment):
        named[UNTREATED] = Untreated(task)
    keys = [None if each is None else method_key(each.ref) for each in (final, first)]
    scores = evaluate_all(list(named.values()), cases, metrics) if cases else {}
    main = scores.get(metric)
    best = _best([method_key(each.ref) for each in rivals], main)
    return SiteScores(
        metric=metric,
        frames=len(cases),
        fields=len({case.field for case in cases}),
        final=keys[0],
        first=keys[1],
        best_classical=best,
        methods=tuple(
            Scored(key=key, means={each: found.mean(key) for each, found in scores.items()}) for key in named
        ),
        difference=_difference(main, keys[0], best, seed),
        difference_to_first=_difference(main, keys[0], keys[1], seed),
    )


def score_pair(cases: Sequence[Case], *, before: Method, after: Method, task: Task, seed: int) -> PairScores:
    """Score two methods on held-out cases; the same method twice differs from itself by nothing."""
    metric = _metrics(cases, task)[0]
    if not cases:
        return PairScores(metric=metric, before=None, after=None, difference=None, frames=0, fields=0)
    # One at a time: the same algorithm tuned anew bears the same name.
    old = evaluate([before], cases, metric)
    new = old if after.ref == before.ref else evaluate([after], cases, metric)
    old_fields, new_fields = old.complete(method_key(before.ref)), new.complete(method_key(after.ref))
    return PairScores(
        metric=metric,
        before=old.mean(method_key(before.ref)),
        after=new.mean(method_key(after.ref)),
        difference=_paired(new_fields, old_fields, seed),
        frames=len(cases),
        fields=len({case.field for case in cases}),
    )


def _metrics(cases: Sequence[Case], task: Task) -> tuple[Metric, ...]:
    """Choose what is scored, what decides first."""
    if isinstance(task, Segment):
        return (Metric.DICE,)
    has_truth = bool(cases) and isinstance(cases[0].reference, Truth)
    return (Metric.PSNR, Metric.SSIM) if has_truth else (Metric.PSNR_REPEAT,)


def _best(keys: Sequence[str], scores: Scores | None) -> str | None:
    if scores is None:
        return None
    means = {key: mean for key in keys if (mean := scores.mean(key)) is not None}
    return max(means, key=lambda key: means[key]) if means else None


def _difference(scores: Scores | None, a: str | None, b: str | None, seed: int) -> Comparison | None:
    if scores is None or a is None or b is None:
        return None
    return _paired(scores.complete(a), scores.complete(b), seed)


def _paired(
    ours: Mapping[str, float] | None, theirs: Mapping[str, float] | None, seed: int
) -> Comparison | None:
    if ours is None or theirs is None or len(ours) < 2:
        return None
    return compare(ours, theirs, seed=seed)
