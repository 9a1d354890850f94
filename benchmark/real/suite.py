"""The whole suite: case by case, resumable, and what all cases say together."""

from collections.abc import Callable, Sequence

from benchmark.figures import Panel, montage
from benchmark.real.finished import Finished
from benchmark.real.judging import Judged, Terms, allowed, judge, task_name
from benchmark.real.rows import CaseResult, RealRow, pooled
from benchmark.real.seen import case_digests
from benchmark.real.table import PlantedNoise, RealCase, SecondFrame
from model_library.errors import SynopticError
from model_library.images.frame import Grey
from model_library.signing.digests import sha256_bytes
from model_library.wire.base import Message

FIGURES_VERSION = 2
"""To be raised with every change that moves a figure: results of another version are computed again."""

Tell = Callable[[str], None]


class SuiteResult(Message):
    """All rows of a run.

    Attributes
    ----------
    rows
        By case, in the order of the table.
    pooled
        Every network over all cases of one kind: difference to the best classical algorithm of each case.
    skipped
        Case -> why it was not run.
    seconds
        Of computing, those of earlier runs included.
    """

    rows: tuple[RealRow, ...]
    pooled: tuple[RealRow, ...]
    skipped: dict[str, str]
    seconds: float
    seed: int
    self_ensemble: bool = False


def run_suite(cases: Sequence[RealCase], terms: Terms, finished: Finished, tell: Tell) -> SuiteResult:
    """Run the cases that are not done yet; one that cannot be run is skipped, and said so."""
    results = []
    for number, case in enumerate(cases, 1):
        tell(f"{number} of {len(cases)}: {case.name}")
        results.append(_done(case, terms, finished, tell))
    return SuiteResult(
        rows=tuple(row for result in results for row in result.rows),
        pooled=tuple(_pooled(cases, results, terms.seed)),
        skipped={result.case: result.skipped for result in results if result.skipped is not None},
        seconds=sum(result.seconds for result in results),
        seed=terms.seed,
        self_ensemble=terms.self_ensemble,
    )


def fingerprint(case: RealCase, terms: Terms) -> str:
    """Digest of everything that a case's figures depend on: table, files, networks, terms."""
    digests, how = case_digests(case, terms.data), terms.tuning_of(case)
    parts = [
        str(FIGURES_VERSION),
        case.model_dump_json(),
        *sorted(digests.tuning),
        *sorted(digests.scored),
        *(f"{card.id}@{card.version} {card.weights_sha256}" for card in allowed(case, terms)),
        how.model_dump_json() if how is not None else "",
        str(terms.seed),
        *(["self-ensemble"] if terms.self_ensemble else []),
    ]
    return sha256_bytes("\n".join(parts).encode())


def _done(case: RealCase, terms: Terms, finished: Finished, tell: Tell) -> CaseResult:
    try:
        digest = fingerprint(case, terms)
        known = finished.result(case.name, digest)
        if known is not None:
            return known
        judged = judge(case, terms, digest)
    except SynopticError as refusal:
        tell(f"skipped {case.name}: {refusal}")
        return CaseResult(case=case.name, fingerprint="", skipped=str(refusal))
    finished.keep(judged.result, picture_of(judged))
    return judged.result


def picture_of(judged: Judged) -> bytes:
    """Show the first scored image: input, best classical result, best network's, truth or other frame."""
    from benchmark.cases import OtherFrame, score, target_of

    case, metric = judged.scored[0], judged.result.rows[0].metric
    leading = [row for row in judged.result.rows if row.metric is metric and row.value is not None]
    shown = [next((row for row in leading if row.kind == "classical"), None)]
    shown.append(next((row for row in leading if row.kind != "classical"), None))
    panels = [Panel("input", case.input)]
    for row in shown:
        if row is not None:
            pixels = judged.methods[row.method](case.input)
            figure = f"{score(pixels, case.reference, metric):.{metric.decimals}f} {metric.unit}"
            panels.append(Panel(row.method, _visible(pixels, metric.value), figure))
    title = "other frame" if isinstance(case.reference, OtherFrame) else "truth"
    panels.append(Panel(title, _visible(target_of(case.reference).astype("float32"), metric.value)))
    return montage(panels)


def _visible(pixels: Grey, metric: str) -> Grey:
    """Spread numbers of objects over grey values, so that neighbours differ."""
    return (pixels * 37) % 101 if metric in {"ap50", "rand_foreground"} else pixels


def _pooled(cases: Sequence[RealCase], results: Sequence[CaseResult], seed: int) -> list[RealRow]:
    groups: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        if isinstance(case.how, SecondFrame):
            # Squared counts of other instruments do not add up.
            continue
        kind = "planted noise" if isinstance(case.how, PlantedNoise) else "labelled or coarse"
        groups.setdefault((task_name(case), kind), []).append(case.name)
    return [
        row
        for (_, _), names in groups.items()
        if len(names) > 1
        for row in pooled(results, names, "all sources", seed)
    ]
