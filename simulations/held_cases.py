"""Held-out frames of a site as cases: no method that they compare was chosen or tuned on their fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.cases import Case
from benchmark.splits import Split
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Segment
from simulations.holdout import held_out
from simulations.journal import Acquisition
from simulations.kept_networks import tuned_fields
from simulations.observation import SiteLook
from simulations.scenario import SiteScenario
from simulations.truth_scores import cases_without_truth, truth_cases
from simulations.workspace import Workspace

SCORED_FRAMES = 12


@dataclass(frozen=True, slots=True)
class HeldCases:
    """Frames of one site, with their truth where there is one; `seed` is of the recorruption elsewhere."""

    workspace: Workspace
    site: SiteScenario
    seen: SiteLook
    seed: int

    def cases(self, compared: Sequence[MethodRef], *, changed: bool | None = None) -> tuple[Case, ...]:
        """Choose cases in fields that none of the compared methods, nor any gate, ever saw.

        Parameters
        ----------
        compared
            Methods; the lineage of a network tells its fields.
        changed
            True: only frames from after the instrument changed; False: only frames from before.
        """
        barred = set(self.seen.fields(Split.TUNING, Split.GATE))
        for ref in compared:
            barred |= tuned_fields(self.workspace, self.site.name, self.seen.campaigns[0].instrument, ref)
        frames = [frame for frame in self.seen.acquired if self._is(frame, changed)]
        chosen = held_out(frames, barred, SCORED_FRAMES)
        acquisitions = self.workspace.acquisitions(self.site.name)
        if not chosen:
            return ()
        if all(frame.has_truth for frame in chosen):
            return truth_cases(chosen, acquisitions, self.workspace.truth(self.site.name), self.site.task)
        if isinstance(self.site.task, Segment):
            return ()
        return cases_without_truth(chosen, acquisitions, self.seed)

    def _is(self, frame: Acquisition, changed: bool | None) -> bool:
        if changed is None or self.site.change is None:
            return True
        return (frame.number >= self.site.change.at_frame) == changed
