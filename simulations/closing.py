"""After the end: score, audit and picture what each site was left with, truth at hand."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmark.cases import Case, Truth, score
from benchmark.figures import Panel
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.splits import Split
from model_library.images.frame import Grey
from model_library.inference.weights import CARD_FILE
from model_library.wire.methods import ClassicalRef, MethodRef, NetworkRef
from model_library.zoo.registry import Library
from simulations.audit import Audited, audit, sample
from simulations.demo import Ended
from simulations.errors import SimulationError
from simulations.holdout import held_out
from simulations.journal import Acquisition
from simulations.observation import SiteLook
from simulations.operator_view import CampaignSeen
from simulations.scenario import SiteScenario
from simulations.truth_scores import SiteScores, Untreated, cases_without_truth, score_site, truth_cases
from simulations.workspace import Workspace
from site_client.reconstruct import load_method

SCORED_FRAMES = 16
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
    """

    site: SiteScenario
    seen: SiteLook
    scores: SiteScores | None
    audited: tuple[Audited, ...]
    panels: tuple[Panel, ...]


def close(ended: Ended, workspace: Workspace) -> tuple[Closed, ...]:
    """Close every site, a few at a time."""
    workers = min(_LARGEST_FAN, os.cpu_count() or 1)
    pairs = list(zip(ended.run.scenario.sites, ended.seen.sites, strict=True))
    with ThreadPoolExecutor(workers) as pool:
        return tuple(pool.map(lambda pair: _close_site(ended, workspace, *pair), pairs))


def _close_site(ended: Ended, workspace: Workspace, site: SiteScenario, seen: SiteLook) -> Closed:
    method_of = _methods(workspace, site)
    if seen.status is None or seen.status.in_service is None or seen.campaign is None:
        return Closed(site, seen, None, (), ())
    in_service, first = seen.status.in_service.method, seen.campaign.release("first")
    final = method_of(in_service)
    rivals = [method_of(ref) for ref in _rivals(seen.campaign, in_service)]
    cases = _cases(ended, workspace, site, seen)
    scores = score_site(
        cases,
        final=final,
        first=None if first is None else method_of(first.method),
        rivals=rivals,
        task=site.task,
        seed=ended.run.scenario.seed,
    )
    audited = audit(_results(workspace, site, seen), method_of)
    best = next((each for each in rivals if each.ref.id == scores.best_classical), None)
    panels = _panels(cases[0], site, best, final) if cases else ()
    return Closed(site, seen, scores, audited, panels)


def _rivals(campaign: CampaignSeen, in_service: MethodRef) -> Sequence[MethodRef]:
    """List every classical algorithm as the coordinator tuned it, also those that did not look best there."""
    tuned = campaign.classical_refs()
    unlisted = isinstance(in_service, ClassicalRef) and in_service not in tuned
    return (*tuned, in_service) if unlisted else tuned


def _methods(workspace: Workspace, site: SiteScenario) -> Callable[[MethodRef], Method]:
    def method_of(ref: MethodRef) -> Method:
        if not isinstance(ref, NetworkRef):
            return load_method(ref, site.task, None, threads=1)
        return load_method(ref, site.task, network_folder(workspace, site.name, ref), threads=1)

    return method_of


def network_folder(workspace: Workspace, site: str, ref: NetworkRef) -> Path:
    """Find a network: as the site installed it, as the coordinator made it, or in the library.

    Raises
    ------
    SimulationError
        It is in none of these.
    """
    places = (
        workspace.site(site) / "networks" / ref.weights_sha256,
        workspace.coordinator / "networks" / ref.weights_sha256,
        Library().folder / ref.id,
    )
    for place in places:
        if (place / CARD_FILE).exists():
            return place
    raise SimulationError(
        f"expected network {ref.id} {ref.version} in one of {', '.join(map(str, places))}, found it in none; "
        "keep the workspace as the run left it"
    )


def _cases(ended: Ended, workspace: Workspace, site: SiteScenario, seen: SiteLook) -> tuple[Case, ...]:
    assert seen.campaign is not None
    barred = seen.campaign.fields(Split.TUNING, Split.GATE)
    frames = held_out(seen.acquired, barred, SCORED_FRAMES)
    acquisitions = workspace.acquisitions(site.name)
    if not frames:
        return ()
    if all(frame.has_truth for frame in frames):
        return truth_cases(frames, acquisitions, workspace.truth(site.name))
    return cases_without_truth(frames, acquisitions, ended.run.scenario.seed)


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


def _panels(case: Case, site: SiteScenario, rival: Method | None, final: Method) -> tuple[Panel, ...]:
    named: dict[str, Method | None] = {
        "as acquired": Untreated(site.task),
        f"best classical: {rival.ref.id}" if rival else "": rival,
        f"in service: {final.ref.id}": final,
    }
    shown = [_panel(title, method(case.input), case) for title, method in named.items() if method]
    if isinstance(case.reference, Truth):
        shown.append(Panel("truth", case.reference.pixels))
    return tuple(shown)


def _panel(title: str, pixels: Grey, case: Case) -> Panel:
    known = isinstance(case.reference, Truth)
    return Panel(title, pixels, f"{score(pixels, case.reference, Metric.PSNR):.2f} dB" if known else "")
