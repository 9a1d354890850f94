"""One case: classical algorithms tuned, networks checked against the digests, all of them scored."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.assessment import best_of, row_of
from benchmark.cases import Case
from benchmark.compare import paired_differences
from benchmark.evaluate import evaluate_all
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.real.build import build_cases
from benchmark.real.contestants import contestant, entrants, rivals_of
from benchmark.real.rows import CaseResult, RealRow, TunedKind, difference_of
from benchmark.real.seen import Seen, case_digests, refusal, seen_by
from benchmark.real.sources import Part
from benchmark.real.table import Labelled, RealCase, SecondFrame
from benchmark.real.tuned import TuneConfig, can_be_tuned, tuned_network
from benchmark.scores import Scores, method_key
from model_library.cards.card import NetworkCard
from model_library.inference.weights import LoadedNetwork
from model_library.wire.tasks import Segment
from model_library.zoo.registry import Library


@dataclass(frozen=True)
class Terms:
    """What all cases of a run share.

    Attributes
    ----------
    data
        Folder of real micrographs.
    library
        Whose networks take part.
    networks
        Ids to which they are restricted; empty for all.
    tune
        How networks are fine-tuned besides; None not at all.
    own_frames
        How, where frames are repeated and `tune` is None: one frame teaches what the other shows
        (Noise2Noise), so that no truth is needed; None not at all. What learned so is averaged over eight
        views, since a short training does not learn all of them alike.
    work
        Folder in which an interrupted fine-tuning goes on; None to begin anew.
    self_ensemble
        Whether networks average over the eight ways to turn and mirror an image.
    """

    data: Path
    library: Library
    networks: tuple[str, ...] = ()
    tune: TuneConfig | None = None
    own_frames: TuneConfig | None = None
    work: Path | None = None
    self_ensemble: bool = False
    seed: int = 0

    def tuning_of(self, case: RealCase) -> TuneConfig | None:
        """How networks are fine-tuned for a case."""
        return self.tune or (self.own_frames if isinstance(case.how, SecondFrame) else None)


@dataclass(frozen=True)
class Judged:
    """A case's result, and what it takes to show it: the scored cases and the methods by name."""

    result: CaseResult
    scored: tuple[Case, ...] = ()
    methods: Mapping[str, Method] = field(default_factory=dict)


@dataclass
class _Field:
    """Everybody who takes part in a case."""

    networks: list[Method] = field(default_factory=list)
    tuned: list[Method] = field(default_factory=list)
    rivals: list[Method] = field(default_factory=list)
    saw: dict[str, Seen] = field(default_factory=dict)
    refused: list[RealRow] = field(default_factory=list)


def allowed(case: RealCase, terms: Terms) -> tuple[NetworkCard, ...]:
    """Cards of the networks that a run admits to a case."""
    cards = entrants(case, terms.library)
    return tuple(card for card in cards if not terms.networks or card.id in terms.networks)


def judge(case: RealCase, terms: Terms, fingerprint: str) -> Judged:
    """Run one case.

    Raises
    ------
    SynopticError
        Files are missing, or of a format that needs an extra.
    """
    start = time.perf_counter()
    tuning = build_cases(case.for_parameters, terms.data, Part.TUNING, terms.seed)
    scored = build_cases(case, terms.data, Part.SCORED, terms.seed)
    contest = _admitted(case, terms, tuning)
    contest.rivals = rivals_of(case, tuning, terms.seed)
    everybody: list[Method] = [*contest.networks, *contest.tuned, *contest.rivals]
    found = evaluate_all(everybody, scored, case.metrics)
    best = best_of(found[case.metrics[0]], [method_key(rival.ref) for rival in contest.rivals])
    rows = [row for metric in case.metrics for row in _rows(case, contest, found[metric], best, terms.seed)]
    result = CaseResult(
        case=case.name,
        fingerprint=fingerprint,
        rows=(*rows, *contest.refused),
        gains=_gains(found[case.metrics[0]], contest, best),
        seconds=time.perf_counter() - start,
    )
    return Judged(result, scored, {method_key(method.ref): method for method in everybody})


def task_name(case: RealCase) -> str:
    """Task as the rows name it."""
    match case.how, case.task:
        case Labelled(), Segment():
            return f"segment:{case.how.target}"
        case _, task:
            return "denoise" if task.scale == 1 else f"super-resolve-x{task.scale}"


def _admitted(case: RealCase, terms: Terms, tuning: Sequence[Case]) -> _Field:
    """Networks whose training saw none of the scored images; the others are given a row that says so."""
    contest = _Field()
    digests = case_digests(case, terms.data)
    for card in allowed(case, terms):
        key = f"{card.id}@{card.version}"
        saw = seen_by(card, digests)
        if saw is Seen.SCORED:
            contest.refused.append(_refused(case, key, saw, refusal(card, digests)))
            continue
        contest.saw[key] = saw
        contest.networks.append(_entrant(terms.library.load(card.id), case, tuning, terms))
    how = terms.tuning_of(case)
    if how is not None and contest.networks:
        _add_tuned(contest, case, replace(terms, tune=how), tuning, tuple(sorted(digests.tuning)))
    return contest


def _add_tuned(
    contest: _Field, case: RealCase, terms: Terms, tuning: Sequence[Case], digests: tuple[str, ...]
) -> None:
    """Fine-tune those networks that do best on the tuning images; what is scored plays no part."""
    assert terms.tune is not None
    able = [method for method in contest.networks if can_be_tuned(terms.library.card(method.ref.id))]
    for method in _best_first(able, tuning, case.metrics[0])[: terms.tune.networks]:
        network = terms.library.load(method.ref.id)
        better = tuned_network(network, case, terms.data, terms.tune, digests, terms.work)
        ensemble = terms.self_ensemble or isinstance(case.how, SecondFrame)
        entrant = _entrant(better, case, tuning, replace(terms, self_ensemble=ensemble))
        contest.saw[method_key(entrant.ref)] = Seen.TUNING
        contest.tuned.append(entrant)


def _entrant(network: LoadedNetwork, case: RealCase, tuning: Sequence[Case], terms: Terms) -> Method:
    return contestant(network, case, tuning, terms.data, self_ensemble=terms.self_ensemble)


def _best_first(methods: Sequence[Method], tuning: Sequence[Case], metric: Metric) -> list[Method]:
    if len(methods) < 2:
        return list(methods)
    scores = evaluate_all(methods, tuning, (metric,))[metric]
    means = [(scores.mean(method_key(method.ref)), method) for method in methods]
    known = [(mean, method) for mean, method in means if mean is not None]
    return [method for _, method in sorted(known, key=lambda pair: metric.place(pair[0]))]


def _refused(case: RealCase, key: str, saw: Seen, why: str) -> RealRow:
    return RealRow(
        task=task_name(case),
        case=case.name,
        source=case.source.id,
        method=key,
        kind="network",
        metric=case.metrics[0],
        value=None,
        ci95=None,
        n=0,
        saw=saw,
        refused=why,
    )


def _rows(case: RealCase, contest: _Field, scores: Scores, best: str, seed: int) -> list[RealRow]:
    tuned = {method_key(method.ref) for method in contest.tuned}
    own: TunedKind = "tuned on own frames" if isinstance(case.how, SecondFrame) else "tuned network"
    rows = []
    for key in scores.values:
        row = row_of(scores, key, best, seed)
        difference, interval = difference_of(row)
        kind = "classical" if row.ref.kind == "classical" else own if key in tuned else "network"
        rows.append(
            RealRow(
                task=task_name(case),
                case=case.name,
                source=case.source.id,
                method=key,
                kind=kind,
                metric=scores.metric,
                value=row.value,
                ci95=row.ci95,
                n=row.n,
                best_classical=best,
                difference=difference,
                difference_ci95=interval,
                saw=contest.saw.get(key, Seen.TUNING),
                refused=scores.failures.get(key) if row.value is None else None,
            )
        )
    return sorted(rows, key=lambda row: scores.metric.place(row.value))


def _gains(scores: Scores, contest: _Field, best: str) -> dict[str, tuple[float, ...]]:
    """Gain of every network over the best classical algorithm per field, where both have all scores."""
    rival = scores.complete(best)
    gains: dict[str, tuple[float, ...]] = {}
    for method in (*contest.networks, *contest.tuned):
        key = method_key(method.ref)
        own = scores.complete(key)
        if own is not None and rival is not None:
            gains[key] = tuple(paired_differences(own, rival).tolist())
    return gains
