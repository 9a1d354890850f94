"""A campaign as a durable workflow: after a crash it resumes at the stage that was interrupted."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext

import structlog
from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from coordinator import drifting, publishing, stages, verdicts
from coordinator.readiness import ask_for_labels, readiness_of
from coordinator.records import ENDED, WAITS, Finding, Stage
from coordinator.store.values import Campaign, Event, Opening, StoredImage
from coordinator.workplace import Workplace
from model_library.errors import SynopticError
from model_library.wire.images import ImagePurpose

_log = structlog.get_logger()

StageWork = Callable[[Workplace, Campaign], str]
"""What a stage does: keep findings, and return a line for the history."""


def _fine_tune(place: Workplace, campaign: Campaign) -> str:
    # Imports torch, which the server does without until its first campaign.
    from coordinator.finetune.look_ahead import starting_network
    from coordinator.finetune.stage import tune_network

    return tune_network(place, campaign, starting_network(place, campaign))


PLAN: Mapping[Stage, StageWork] = {
    Stage.GATHERING: stages.gather,
    Stage.NOISE: stages.measure_noise,
    Stage.CLASSICAL: stages.tune_classical,
    Stage.SELECTING: stages.select_network,
    Stage.FIRST_GATE: verdicts.judge_first,
    Stage.FIRST_RELEASE: publishing.release_first,
    Stage.FINE_TUNING: _fine_tune,
    Stage.FINAL_GATE: verdicts.judge_final,
    Stage.FINAL_RELEASE: publishing.release_final,
}
"""The stages in their order; the order is part of what a running workflow relies on."""

_LIGHT = (Stage.GATHERING, Stage.FIRST_RELEASE, Stage.FINAL_RELEASE)
"""Stages that wait for no turn to compute."""
_IDLE = (*WAITS, *ENDED)


@DBOS.dbos_class()
class Campaigning(DBOSConfiguredInstance):
    """Starts campaigns and performs their stages, each exactly once as far as its effects go."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        super().__init__("campaigning")

    @DBOS.workflow()
    def run(self, campaign_id: str) -> str:
        """Perform every stage in turn; a failed one ends the campaign and says why."""
        with self._place.at_work(campaign_id):
            done = self._stages(campaign_id)
            # Images that came meanwhile were looked at, but could open no campaign beside this one.
            DBOS.run_step({"name": "drift"}, self._look_for_drift, campaign_id)
        return done

    def expect(self, instrument_id: str) -> None:
        """Open an instrument's first campaign, which waits for its images."""
        self._place.campaigns.open(Opening(instrument_id), Stage.WAITING, self._place.clock())

    def arrived(self, image: StoredImage) -> None:
        """Start the campaign that waits for this image, if it was the last of the first ones."""
        if image.purpose is ImagePurpose.FIRST:
            self._start_waiting(image.instrument_id)

    def labels_arrived(self, instrument_id: str) -> None:
        """Start the campaign that waits for labels, if there are enough now; cheap to call often."""
        self._start_waiting(instrument_id)

    def resume(self) -> None:
        """After a start of the server: begin what was due, and note what goes on."""
        now = self._place.clock()
        for instrument in self._place.identities.all():
            self.expect(instrument.id)
        for campaign_id in self._place.campaigns.ids():
            campaign = self._place.campaigns.get(campaign_id)
            if campaign is None or campaign.stage in _IDLE:
                self._start_if_ready(campaign_id)
                continue
            text = f"the coordinator started again and resumes {campaign.stage}"
            self._place.campaigns.note(campaign_id, f"restart/{now}", Event(now, campaign.stage, text))

    def _stages(self, campaign_id: str) -> str:
        for stage in PLAN:
            failure: str | None = DBOS.run_step({"name": stage.value}, self._perform, campaign_id, stage)
            if failure is not None:
                return failure
        DBOS.run_step({"name": Stage.MONITORING.value}, self._end, campaign_id)
        return "done"

    def _start_waiting(self, instrument_id: str) -> None:
        for campaign_id in self._place.campaigns.at_stages(instrument_id, WAITS):
            self._start_if_ready(campaign_id)

    def _start_if_ready(self, campaign_id: str) -> None:
        campaign = self._place.campaigns.get(campaign_id)
        if campaign is None or campaign.stage not in WAITS:
            return
        found = readiness_of(self._place, campaign)
        if found.is_ready:
            # The id makes a second start of the same campaign a no-op.
            with SetWorkflowID(campaign_id):
                DBOS.start_workflow(self.run, campaign_id)
        elif found.lacks_labels_only:
            ask_for_labels(self._place, campaign, found)

    def _perform(self, campaign_id: str, stage: Stage) -> str | None:
        """Perform one stage; returns why it failed, or None."""
        place = self._place
        with nullcontext() if stage in _LIGHT else place.turns.turn([*PLAN].index(stage), place.check):
            place.campaigns.enter(campaign_id, stage)
            self._note(campaign_id, stage, "begin", "begins")
            campaign = place.campaigns.get(campaign_id)
            assert campaign is not None
            try:
                done = PLAN[stage](place, campaign)
            except SynopticError as refusal:
                return self._fail(campaign_id, stage, str(refusal))
            except Exception as error:
                # A campaign must never end without saying so; the defect is told and logged.
                _log.exception("stage failed", campaign=campaign_id, stage=stage.value)
                return self._fail(campaign_id, stage, f"unexpected {type(error).__name__}: {error}")
            self._note(campaign_id, stage, "done", done)
        return None

    def _fail(self, campaign_id: str, stage: Stage, reason: str) -> str:
        self._place.campaigns.find_out(campaign_id, Finding.FAILURE, {"stage": stage, "reason": reason})
        self._note(campaign_id, stage, "failed", f"failed: {reason}")
        self._place.campaigns.enter(campaign_id, Stage.FAILED)
        return reason

    def _end(self, campaign_id: str) -> None:
        self._place.campaigns.enter(campaign_id, Stage.MONITORING)
        self._note(campaign_id, Stage.MONITORING, "begin", "the campaign is done; returned images are scored")

    def _look_for_drift(self, campaign_id: str) -> None:
        campaign = self._place.campaigns.get(campaign_id)
        assert campaign is not None
        drifting.answer(self._place, campaign.instrument_id)

    def _note(self, campaign_id: str, stage: Stage, key: str, text: str) -> None:
        event = Event(self._place.clock(), stage, text)
        self._place.campaigns.note(campaign_id, f"{stage}/{key}", event)
