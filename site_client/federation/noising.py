"""Making an update private before it leaves: clip it to a norm, and add noise to every number."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model_library.cards.adaptation import AdaptationReport
from model_library.cards.privacy import Privacy
from site_client.errors import AdaptationRefused

Arrays = Mapping[str, NDArray[np.float32]]


def privatise(update: Arrays, privacy: Privacy, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Clip an update and add Gaussian noise (Gaussian mechanism, Dwork and Roth 2014, appendix A).

    Parameters
    ----------
    update
        float32 arrays of any shape by key: all that leaves, since one norm bounds it together.
    privacy
        How much.
    rng
        Nobody else may know its seed, or the noise could be taken off again.

    Returns
    -------
    float32 arrays of the same keys and shapes.

    Raises
    ------
    AdaptationRefused
        The update is not finite: no noise hides that.
    """
    norm = float(np.sqrt(sum(float(np.square(each, dtype=np.float64).sum()) for each in update.values())))
    if not np.isfinite(norm):
        raise AdaptationRefused("expected a finite update, found NaN or infinity; training has diverged")
    shrink = min(1.0, privacy.clip_norm / norm) if norm else 1.0
    deviation = privacy.noise_multiplier * privacy.clip_norm
    return {
        key: np.asarray(each * np.float64(shrink) + rng.normal(0.0, deviation, each.shape), np.float32)
        for key, each in sorted(update.items())
    }


def silent(report: AdaptationReport) -> AdaptationReport:
    """Leave out of a report what was measured on frames and no noise was added to: the losses."""
    return report.model_copy(
        update={
            "loss_first": None,
            "loss_last": None,
            "judged_before": None,
            "judged_after": None,
            "judged_frames": 0,
        }
    )
