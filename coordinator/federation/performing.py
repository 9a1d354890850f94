"""The stages of a federation: invite, run the rounds, judge, release."""

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from coordinator.errors import CannotFederate
from coordinator.federation import sittings
from coordinator.federation.conducting import Conductor, RunsEngine, refuse_if_stopped
from coordinator.federation.matrix import measure_matrix
from coordinator.federation.network import keep_network, start_weights
from coordinator.federation.plan import START_FILE, RoundRecord, read_plan, write_plan
from coordinator.federation.planning import plan_of
from coordinator.federation.records import Finding, Stage, Start
from coordinator.federation.versions import keep_versions
from coordinator.store.values import Event, Federation
from coordinator.workplace import Workplace
from model_library.errors import SynopticError
from model_library.images.durable import write_durably
from model_library.signing.digests import sha256_bytes
from model_library.wire.methods import NetworkRef

_log = structlog.get_logger()

PERFORMED = (Stage.ASSEMBLING, Stage.ROUNDS, Stage.GATES, Stage.RELEASES, Stage.DONE)
"""The stages in their order; the order is part of what a running workflow relies on."""


class Performer:
    """Performs the stages of federations, each exactly once as far as its effects go."""

    def __init__(self, place: Workplace, engine: RunsEngine) -> None:
        self._place, self._engine = place, engine
        self._stages: Mapping[Stage, Callable[[Federation], str]] = {
            Stage.ASSEMBLING: self._assemble,
            Stage.ROUNDS: self._perform_rounds,
            Stage.GATES: self._judge,
            Stage.RELEASES: lambda federation: sittings.release_all(place, federation),
            Stage.DONE: self._end,
        }

    def perform(self, federation_id: str, stage: Stage) -> str | None:
        """Perform one stage; repeating it does no harm.

        Returns
        -------
        str or None
            Why it failed, which ends the federation.
        """
        place = self._place
        place.federations.enter(federation_id, stage)
        self._note(federation_id, stage, "begin", "begins")
        federation = place.federations.get(federation_id)
        assert federation is not None
        try:
            refuse_if_stopped(place, federation.id)
            done = self._stages[stage](federation)
        except SynopticError as refusal:
            return self._fail(federation_id, stage, str(refusal))
        except Exception as error:
            # A federation must never end without saying so; the defect is told and logged.
            _log.exception("stage failed", federation=federation_id, stage=stage.value)
            return self._fail(federation_id, stage, f"unexpected {type(error).__name__}: {error}")
        self._note(federation_id, stage, "done", done)
        return None

    def _assemble(self, federation: Federation) -> str:
        """Write the plan and the weights to start from."""
        place, start = self._place, Start.model_validate_json(federation.start)
        folder = self._folder(federation.id)
        folder.mkdir(parents=True, exist_ok=True)
        weights = start_weights(place, start)
        write_durably(folder / START_FILE, weights)
        place.federations.find_out(federation.id, Finding.START, sha256_bytes(weights))
        write_plan(folder, plan_of(place, federation.id, start))
        return f"{', '.join(member.site for member in start.members)} are invited"

    def _perform_rounds(self, federation: Federation) -> str:
        """See the rounds through, and keep the network that comes of them.

        Raises
        ------
        CannotFederate
            The rounds failed.
        """
        plan = read_plan(self._folder(federation.id))
        try:
            outcome = Conductor(self._place, self._engine, federation, plan).conduct()
        except Exception:
            # Not where the process ends: the next one goes on, with the same engine.
            self._engine.finish()
            raise
        self._engine.finish()
        if outcome.state == "failed" or outcome.weights is None:
            raise CannotFederate(outcome.cause or "expected weights from the rounds, found none")
        weights = (self._folder(federation.id) / outcome.weights).read_bytes()
        network = keep_network(self._place, federation, weights, outcome.rounds)
        self._place.federations.find_out(federation.id, Finding.NETWORK, network.model_dump(mode="json"))
        if outcome.personal is not None:
            self._keep_versions(federation, network, outcome.personal)
        return f"{len(outcome.rounds)} rounds made {network.id} {network.version}"

    def _judge(self, federation: Federation) -> str:
        judged = sittings.judge_all(self._place, federation)
        return f"{judged}; {measure_matrix(self._place, federation)}"

    def _keep_versions(self, federation: Federation, common: NetworkRef, record: RoundRecord) -> None:
        versions = keep_versions(self._place, federation, self._folder(federation.id), common, record)
        told = {
            "versions": {key: ref.model_dump(mode="json") for key, ref in versions.items()},
            "record": record.model_dump(mode="json"),
        }
        self._place.federations.find_out(federation.id, Finding.PERSONAL, told)
        causes = "".join(f"; {each.site}: {each.cause}" for each in (*record.refused, *record.absent))
        self._note(federation.id, Stage.ROUNDS, "personal", f"{len(versions)} own versions came back{causes}")

    def _folder(self, federation_id: str) -> Path:
        return self._place.settings.federations / federation_id

    def _fail(self, federation_id: str, stage: Stage, reason: str) -> str:
        failure = {"stage": stage, "reason": reason}
        self._place.federations.find_out(federation_id, Finding.FAILURE, failure)
        self._note(federation_id, stage, "failed", f"failed: {reason}")
        self._place.federations.end(federation_id, Stage.FAILED, self._place.clock())
        return reason

    def _end(self, federation: Federation) -> str:
        self._place.federations.end(federation.id, Stage.DONE, self._place.clock())
        return "the federation is done"

    def _note(self, federation_id: str, stage: Stage, key: str, text: str) -> None:
        event = Event(self._place.clock(), stage, text)
        self._place.federations.note(federation_id, f"{stage}/{key}", event)
