"""Observing each returned image, and scoring the method in service on it: durable workflows per image."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from coordinator import drifting
from coordinator.annotation.cases import labelled_cases
from coordinator.cases import restoring_cases
from coordinator.errors import CannotAssess
from coordinator.findings import instrument_of, measured_campaign, noise_of
from coordinator.methods import method_of
from coordinator.score_series import reference_of
from coordinator.stages import tuning_fields
from coordinator.store.values import Campaign, MonitoringScore, Release, StoredImage
from coordinator.workplace import Workplace
from model_library.cards.card import tuned_field
from model_library.errors import SynopticError
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import ClassicalRef, MethodRef
from model_library.wire.tasks import Segment

if TYPE_CHECKING:
    from benchmark.cases import Case

_log = structlog.get_logger()

QUEUE = "monitoring"
"""Scores, which wait for a turn to compute."""
OBSERVING = "observing"
"""Observations, which take a moment and tell of a drift."""
_URGENCY = 6
"""After the stages that lead to an instrument's first release, before fine-tuning."""


@DBOS.dbos_class()
class Monitoring(DBOSConfiguredInstance):
    """Looks at returned images, one at a time, after a crash at those that it had not done with."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        super().__init__("monitoring")

    @DBOS.workflow()
    def observe_image(self, image_id: int) -> None:
        """Measure what drift is told from, and answer a drift."""
        with self._place.at_work(f"observe-{image_id}"):
            DBOS.run_step({"name": "observe"}, self._observe, image_id)

    @DBOS.workflow()
    def score_image(self, image_id: int) -> None:
        """Score one returned image, or keep the reason why not."""
        with self._place.at_work(f"monitor-{image_id}"):
            DBOS.run_step({"name": "score"}, self._score, image_id)

    def arrived(self, image: StoredImage) -> None:
        """Put a returned image in the queues; the ids make a second time a no-op."""
        if image.purpose is ImagePurpose.BENCHMARK:
            with SetWorkflowID(f"observe-{image.id}"):
                DBOS.enqueue_workflow(OBSERVING, self.observe_image, image.id)
            with SetWorkflowID(f"monitor-{image.id}"):
                DBOS.enqueue_workflow(QUEUE, self.score_image, image.id)

    def resume(self) -> None:
        """After a start of the server: queue what arrived just before a crash."""
        for instrument in self._place.identities.all():
            scored = {score.image_id for score in self._place.scores.of(instrument.id)}
            for image in self._place.images.of(instrument.id, ImagePurpose.BENCHMARK):
                if image.id not in scored:
                    self.arrived(image)

    def _observe(self, image_id: int) -> None:
        image = self._image(image_id)
        try:
            drifting.look_at(self._place, image)
        except SynopticError as refusal:
            _log.warning("returned image not observed", image=image_id, reason=str(refusal))
            return
        drifting.answer(self._place, image.instrument_id)

    def _score(self, image_id: int) -> None:
        place, image = self._place, self._image(image_id)
        release = None if image.release_id is None else place.releases.get(image.release_id)
        campaign = measured_campaign(place, image.instrument_id, image.sequence)
        if release is None or campaign is None:
            place.scores.keep(_result(place, image, None, None, "no release was in service when it arrived"))
            return
        with place.turns.turn(_URGENCY, place.check):
            place.scores.keep(_assess(place, image, release, campaign))
        drifting.answer(place, image.instrument_id)

    def _image(self, image_id: int) -> StoredImage:
        image = self._place.images.get(image_id)
        assert image is not None
        return image


def _assess(place: Workplace, image: StoredImage, release: Release, campaign: Campaign) -> MonitoringScore:
    from benchmark.perfect import perfect_by_field

    if tuned_field(image.instrument_id, image.field) in _tuned_on(place, release, campaign):
        why = f"its field of view {image.field} was tuned on by the method in service"
        return _result(place, image, release, None, why)
    try:
        cases = _cases(place, image, campaign)
        score = _measure(place, release.manifest.method, cases, campaign)
    except SynopticError as refusal:
        return _result(place, image, release, None, str(refusal))
    perfect = next(iter(perfect_by_field(cases).values()), None)
    scored = replace(_result(place, image, release, score, None), perfect=perfect)
    reference = reference_of(campaign, release.manifest.method)
    if reference is None:
        return scored
    try:
        return replace(
            scored, reference=reference, reference_score=_measure(place, reference, cases, campaign)
        )
    except SynopticError as refusal:
        # The method's own score stands without one to hold it against.
        _log.warning("classical algorithm not scored", image=image.id, reason=str(refusal))
        return scored


def _tuned_on(place: Workplace, release: Release, campaign: Campaign) -> frozenset[str]:
    """Fields of view (`tuned_field`) that the parameters or weights of a release were chosen on."""
    if isinstance(release.manifest.method, ClassicalRef):
        tuned = place.campaigns.get(release.campaign_id) or campaign
        return frozenset(tuned_field(tuned.instrument_id, field) for field in tuning_fields(place, tuned))
    card = release.manifest.card
    return frozenset() if card is None or card.lineage is None else frozenset(card.lineage.tuned_fields)


def _measure(place: Workplace, ref: MethodRef, cases: "Sequence[Case]", campaign: Campaign) -> float:
    from benchmark.evaluate import evaluate
    from benchmark.scores import method_key

    scores = evaluate([method_of(place, ref, instrument_of(place, campaign).task)], cases)
    key = method_key(ref)
    mean = scores.mean(key)
    if mean is None:
        message = f"expected a finite score, found none: {scores.failures.get(key, 'no reason given')}"
        raise CannotAssess(message)
    return mean


def _cases(place: Workplace, image: StoredImage, campaign: Campaign) -> "tuple[Case, ...]":
    if isinstance(instrument_of(place, campaign).task, Segment):
        cases = labelled_cases(place, [image])
        if not cases:
            raise CannotAssess("expected labels to score a segmentation on, found none for this image")
        return cases
    return restoring_cases(place, [image], noise_of(campaign), place.rng("monitoring", image.sha256))


def _result(
    place: Workplace, image: StoredImage, release: Release | None, score: float | None, reason: str | None
) -> MonitoringScore:
    return MonitoringScore(
        image_id=image.id,
        instrument_id=image.instrument_id,
        sequence=image.sequence,
        release_id=None if release is None else release.id,
        method=None if release is None else release.manifest.method,
        metric=_metric(place, image),
        score=score,
        reason=reason,
        at=place.clock(),
    )


def _metric(place: Workplace, image: StoredImage) -> str:
    instrument = place.identities.find(image.instrument_id)
    return "dice" if instrument is not None and isinstance(instrument.task, Segment) else "psnr_repeat"
