"""Scoring the method in service on each returned image: one durable workflow per image."""

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from coordinator.errors import CannotAssess
from coordinator.methods import instrument_of, method_of, noise_of, pixels_of
from coordinator.stages import tuning_fields
from coordinator.store.values import Campaign, MonitoringScore, Release, StoredImage
from coordinator.workplace import Workplace
from model_library.errors import SynopticError
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import ClassicalRef

QUEUE = "monitoring"
METRIC = "psnr_repeat"
_URGENCY = 6
"""After the stages that lead to an instrument's first release, before fine-tuning."""


@DBOS.dbos_class()
class Monitoring(DBOSConfiguredInstance):
    """Scores returned images, one at a time, after a crash those that were not scored yet."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        super().__init__("monitoring")

    @DBOS.workflow()
    def score_image(self, image_id: int) -> None:
        """Score one returned image, or keep the reason why not."""
        with self._place.at_work(f"monitor-{image_id}"):
            DBOS.run_step({"name": "score"}, self._score, image_id)

    def arrived(self, image: StoredImage) -> None:
        """Put a returned image in the queue; the id makes a second time a no-op."""
        if image.purpose is ImagePurpose.BENCHMARK:
            with SetWorkflowID(f"monitor-{image.id}"):
                DBOS.enqueue_workflow(QUEUE, self.score_image, image.id)

    def resume(self) -> None:
        """After a start of the server: queue what arrived just before a crash."""
        for instrument in self._place.identities.all():
            scored = {score.image_id for score in self._place.scores.of(instrument.id)}
            for image in self._place.images.of(instrument.id, ImagePurpose.BENCHMARK):
                if image.id not in scored:
                    self.arrived(image)

    def _score(self, image_id: int) -> None:
        place = self._place
        image = place.images.get(image_id)
        assert image is not None
        release = None if image.release_id is None else place.releases.get(image.release_id)
        campaign = None if release is None else place.campaigns.get(release.campaign_id)
        if release is None or campaign is None:
            place.scores.keep(_result(place, image, None, None, "no release was in service when it arrived"))
            return
        with place.turns.turn(_URGENCY, place.check):
            place.scores.keep(_assess(place, image, release, campaign))


def _assess(place: Workplace, image: StoredImage, release: Release, campaign: Campaign) -> MonitoringScore:
    if image.field in _tuned_on(place, release, campaign):
        why = f"its field of view {image.field} was tuned on by the method in service"
        return _result(place, image, release, None, why)
    try:
        return _result(place, image, release, _measure(place, image, release, campaign), None)
    except SynopticError as refusal:
        return _result(place, image, release, None, str(refusal))


def _tuned_on(place: Workplace, release: Release, campaign: Campaign) -> frozenset[str]:
    """Fields of view that the parameters or weights of a release were chosen on."""
    if isinstance(release.manifest.method, ClassicalRef):
        return frozenset(tuning_fields(place, campaign))
    card = release.manifest.card
    return frozenset() if card is None or card.lineage is None else frozenset(card.lineage.tuned_fields)


def _measure(place: Workplace, image: StoredImage, release: Release, campaign: Campaign) -> float:
    from benchmark.cases import repeat_cases
    from benchmark.evaluate import evaluate
    from benchmark.scores import method_key

    task = instrument_of(place, campaign).task
    cases = repeat_cases(
        pixels_of(place, [image]),
        noise_of(campaign),
        place.rng("monitoring", image.sha256),
        crop_px=place.settings.assessment.crop_px,
    )
    method = method_of(place, release.manifest.method, task)
    scores = evaluate([method], cases)
    key = method_key(method.ref)
    mean = scores.mean(key)
    if mean is None:
        message = f"expected a finite score, found none: {scores.failures.get(key, 'no reason given')}"
        raise CannotAssess(message)
    return mean


def _result(
    place: Workplace, image: StoredImage, release: Release | None, score: float | None, reason: str | None
) -> MonitoringScore:
    return MonitoringScore(
        image_id=image.id,
        instrument_id=image.instrument_id,
        sequence=image.sequence,
        release_id=None if release is None else release.id,
        method=None if release is None else release.manifest.method,
        metric=METRIC,
        score=score,
        reason=reason,
        at=place.clock(),
    )
