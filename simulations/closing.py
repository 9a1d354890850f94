"""After the end: score, audit and picture what each site was left with, truth at hand."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmark.figures import Panel
from benchmark.scores import method_key
from model_library.wire.methods import ClassicalRef, MethodRef
from simulations.audit import Audited, audit, sample
from simulations.demo import Ended
from simulations.held_cases import HeldCases
from simulations.journal import Acquisition
from simulations.kept_networks import methods
from simulations.observation import SiteLook
from simulations.panels import panels_of
from simulations.replacements import Improved, Shared, improvements_of, shared_with
from simulations.scenario import SiteScenario
from simulations.truth_scores import SiteScores, score_site
from simulations.workspace import Workspace

_AUDITED_RESULTS = 3
_LARGEST_FAN = 3


@dataclass(frozen=True, slots=True)
class Closed:
    """What is found out about a site after its processes have ended.

    Attributes
    ----------
    scores
        On held-out frames; None where nothing came into service.
    audited
        A sample of results, repeated from their provenance.
    panels
        One held-out frame: as acquired, by the best classical algorithm, as in service, truth.
    shared
        The federated network against the site's own; None where no federation reached it.
    improved
        What replaced what after each drift.
    """

    site: SiteScenario
    seen: SiteLook
    scores: SiteScores | None
    audited: tuple[Audited, ...]
    panels: tuple[Panel, ...]
    shared: Shared | None = None
    improved: tuple[Improved, ...] = ()


def close(ended: Ended, workspace: Workspace) -> tuple[Closed, ...]:
    """Close every site, a few at a time."""
    workers = min(_LARGEST_FAN, os.cpu_count() or 1)
    pairs = list(zip(ended.run.scenario.sites, ended.seen.sites, strict=True))
    with ThreadPoolExecutor(workers) as pool:
        return tuple(pool.map(lambda pair: _close_site(ended, workspace, *pair), pairs))


def _close_site(ended: Ended, workspace: Workspace, site: SiteScenario, seen: SiteLook) -> Closed:
    if seen.status is None or seen.status.in_service is None or not seen.campaigns:
        return Closed(site, seen, None, (), ())
    method_of = methods(workspace, site)
    held = HeldCases(workspace, site, seen, ended.run.scenario.seed)
    in_service, first = seen.status.in_service.method, seen.campaigns[0].release("first")
    if (
        first is not None
        and first.method != in_service
        and method_key(first.method) == method_key(in_service)
    ):
        first = None  # the same algorithm tuned anew bears the same name: they cannot be told apart
    final = method_of(in_service)
    rivals = [method_of(ref) for ref in _rivals(seen, in_service)]
    compared = (in_service,) if first is None else (in_service, first.method)
    cases = held.cases(compared, changed=True if site.change is not None else None)
    scores = score_site(
        cases,
        final=final,
        first=None if first is None else method_of(first.method),
        rivals=rivals,
        task=site.task,
        seed=ended.run.scenario.seed,
    )
    best = next((each for each in rivals if method_key(each.ref) == scores.best_classical), None)
    return Closed(
        site,
        seen,
        scores,
        audit(_results(workspace, site, seen), method_of),
        panels_of(cases[0], site.task, best, final) if cases else (),
        shared_with(ended.overview, held),
        improvements_of(ended.overview, held),
    )


def _rivals(seen: SiteLook, in_service: MethodRef) -> Sequence[MethodRef]:
    """List every classical algorithm as tuned last, also those that did not look best there."""
    tuned = next((refs for each in reversed(seen.campaigns) if (refs := each.classical_refs())), ())
    unlisted = isinstance(in_service, ClassicalRef) and in_service not in tuned
    others = [ref for ref in tuned if not unlisted or ref.id != in_service.id]
    return (*others, in_service) if unlisted else tuned


def _results(workspace: Workspace, site: SiteScenario, seen: SiteLook) -> Sequence[tuple[Path, Path]]:
    stems = {Path(frame.name).stem: frame for frame in seen.acquired}
    folder = workspace.results(site.name)
    written = sorted(folder.glob("*.ome.tif")) if folder.is_dir() else []
    named = {path.name: _source_of(path, stems) for path in written}
    chosen = sample([name for name, source in named.items() if source is not None], _AUDITED_RESULTS)
    pairs = []
    for name in chosen:
        source = named[name]
        assert source is not None
        pairs.append((workspace.acquisitions(site.name) / source.name, folder / name))
    return pairs


def _source_of(result: Path, stems: dict[str, Acquisition]) -> Acquisition | None:
    # `<stem>_<sequence>.ome.tif`, as the daemon names results.
    return stems.get(result.name.removesuffix(".ome.tif").rpartition("_")[0])
