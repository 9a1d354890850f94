"""`synoptic benchmark gate`: a candidate before the gate, on any folder of images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from benchmark.assessment import classical_rivals
from benchmark.cases import Case
from benchmark.comparing import told_of
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.gate import judge
from benchmark.method import Method
from benchmark.named import cast, labels_of
from benchmark.report import write_page
from benchmark.scores import Scores, method_key
from benchmark.sites import Asked, SiteCases, read_sites
from benchmark.trust.findings import Finding
from benchmark.trust.of_cases import check_cases
from benchmark.verdict import Entrant, GatePolicy, Role, Verdict
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Task


@dataclass(frozen=True)
class GateRun:
    """What is asked: names as in `named.cast`; no incumbent where nothing is in service yet."""

    candidate: str
    incumbent: str | None
    asked: Asked
    library: Path | None = None
    task: Task | None = None
    look: int = 1
    site_margin: float | None = None


def run_gate(run: GateRun, json_file: Path | None, report: Path | None = None) -> Verdict:
    """Score, check, judge, print the verdict, and write what was asked for.

    Raises
    ------
    SynopticError
        A method or the images are refused.
    """
    names = [run.candidate, *([] if run.incumbent is None else [run.incumbent])]
    if len(set(names)) < len(names):
        raise BenchmarkError(f"expected another incumbent than the candidate, found {run.candidate} twice")
    with TemporaryDirectory() as aside:
        found = cast(names, library=run.library, aside=Path(aside), task=run.task)
        read = read_sites(run.asked, found.task)
        tuning, scored = read.split()
        typer.echo(f"{len(scored)} cases of {len(read.names)} sites; tuning classical algorithms", err=True)
        methods = found.methods(tuning)
        labels = labels_of(methods)
        entered: dict[str, tuple[Method, Role]] = {
            labels[run.candidate]: (methods[run.candidate], Role.CANDIDATE)
        }
        if run.incumbent is not None:
            entered[labels[run.incumbent]] = (methods[run.incumbent], Role.IN_SERVICE)
        refs = [method.ref for method, _ in entered.values()]
        for rival in classical_rivals(found.task, tuning):
            if rival.ref not in refs:
                entered[method_key(rival.ref)] = (rival, Role.CLASSICAL)
        typer.echo(f"scoring {', '.join(entered)}", err=True)
        scores = {label: evaluate([method], scored) for label, (method, _) in entered.items()}
        typer.echo("trust checks", err=True)
        trust = trust_of(methods[run.candidate], read, scored, found.task, run.asked.seed)
        verdict = _verdict(run, entered, scores, trust, read)
        content = _content(run, verdict, scores, read)
        if report is not None:
            held = verdict.best_classical if run.incumbent is None else labels[run.incumbent]
            shown = [labels[run.candidate], *([] if held is None else [held])]
            _write_report(report, content, scored[0], {label: entered[label][0] for label in shown})
    if json_file is not None:
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    echo_verdict(verdict)
    return verdict


def _write_report(report: Path, content: dict[str, Any], case: Case, shown: Mapping[str, Method]) -> None:
    """Write the page, with the candidate and what it was held against on the first scored image."""
    from benchmark.report_page import whole_page
    from benchmark.report_pictures import example
    from benchmark.report_sections import gate_section

    drawn = [example(case, shown)] if len(shown) == 2 else []
    write_page(report, whole_page([gate_section(content, drawn)]))


def trust_of(
    method: Method, read: SiteCases, scored: Sequence[Case], task: Task, seed: int
) -> tuple[Finding, ...]:
    """Check a method at every site, whose noise differs; of each check the worst finding, and whose it is."""
    worst: dict[str, Finding] = {}
    graveness = {False: 0, None: 1, True: 2}
    for site in read.names:
        cases = [case for case in scored if read.sites[case.field] == site]
        for one in check_cases(method, cases, task, seed=seed):
            told = one if len(read.names) == 1 else one.model_copy(update={"told": f"{site}: {one.told}"})
            if one.check not in worst or graveness[one.holds] < graveness[worst[one.check].holds]:
                worst[one.check] = told
    return tuple(worst.values())


def _verdict(
    run: GateRun,
    entered: Mapping[str, tuple[Method, Role]],
    scores: Mapping[str, Scores],
    trust: tuple[Finding, ...],
    read: SiteCases,
) -> Verdict:
    first, *others = (
        Entrant(
            key=label,
            role=role,
            scores=scores[label].by_field(method_key(method.ref)),
            classical=isinstance(method.ref, ClassicalRef),
            trust=trust if role is Role.CANDIDATE else (),
        )
        for label, (method, role) in entered.items()
    )
    metric = next(iter(scores.values())).metric
    policy = GatePolicy(metric=metric, seed=run.asked.seed)
    if run.site_margin is not None:
        policy = policy.model_copy(update={"site_margin_db": run.site_margin, "site_margin": run.site_margin})
    return judge(first, others, look=run.look, policy=policy, sites=read.sites)


def _content(run: GateRun, verdict: Verdict, scores: Mapping[str, Scores], read: SiteCases) -> dict[str, Any]:
    return {
        "kind": "gate",
        "candidate": run.candidate,
        "incumbent": run.incumbent,
        "images": str(run.asked.images),
        "asked": run.asked.told,
        "passed": verdict.passed,
        "verdict": verdict.model_dump(mode="json"),
        "means": {label: found.mean(method_key(found.only)) for label, found in scores.items()},
        **told_of(scores),
        "sites": read.sites,
        "refused": read.refused,
        "seed": run.asked.seed,
    }


def echo_verdict(verdict: Verdict) -> None:
    """Print a verdict: passed or not, what to use, and the reasons."""
    typer.echo(
        f"{verdict.candidate} {'passes' if verdict.passed else 'does not pass'}; use {verdict.assigned}"
    )
    for reason in verdict.reasons:
        typer.echo(f"  {reason}")
    for site in verdict.sites:
        typer.echo(
            f"  {site.site}: {site.difference:+.3f} {verdict.metric.unit}, at least {site.at_least:+.3f}"
            f" ({site.fields} fields)"
        )
    for one in verdict.trust:
        typer.echo(f"  {one.line}")
