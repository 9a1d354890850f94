"""Candidates of known worth, and how often the gate promotes them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.baselines import classical
from benchmark.cases import Case, repeat_cases
from benchmark.evaluate import evaluate
from benchmark.gate import judge
from benchmark.method import Method
from benchmark.scores import method_key
from benchmark.trust.of_cases import check_cases
from benchmark.verdict import Entrant, GatePolicy, Role
from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey
from model_library.specimens import SpecimenKind, render
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise

FIELDS, CASES = 8, 6
"""Fields of a gate with one site; simulated images that real methods are judged on."""
CONTENT_DB, _LEAD_DB = 3.0, 1.5
"""Spread between fields; by how much the classical rival is worse."""
_SIDE_PX, _SIGMA = 96, 15.0


class Restoring:
    """A function of the image as a method."""

    scale = 1

    def __init__(self, name: str, restore: Callable[[Grey], Grey]) -> None:
        self.ref = ClassicalRef(id=name)
        self._restore = restore

    def __call__(self, pixels: Grey) -> Grey:
        """Restore one image [Y, X]."""
        return self._restore(pixels).astype(np.float32)


def drawn(gains: Mapping[str, float], *, seeds: int, looks: int, per_site: int, interaction_db: float) -> int:
    """Count the seeds in which a candidate of these gains (site -> dB) is promoted at any look.

    A field's score is its content's, with 3 dB between fields, plus the network's own part, whose spread is
    that of re-trainings and whose tails are heavy (t5).
    """
    fields = {f"{site}-{n}": site for site in gains for n in range(per_site)}
    promoted = 0
    for seed in range(seeds):
        rng = np.random.default_rng([31, seed])
        content = 29 + CONTENT_DB * rng.standard_normal(len(fields))

        def own(gains: Mapping[str, float], rng: np.random.Generator = rng) -> NDArray[np.float64]:
            tails = rng.standard_t(5, len(fields)) / np.sqrt(5 / 3)
            means = np.array([gains[site] for site in fields.values()])
            found: NDArray[np.float64] = means + interaction_db / np.sqrt(2) * tails
            return found

        nothing = dict.fromkeys(gains, 0.0)
        in_service = _entrant("net@1", Role.IN_SERVICE, fields, content + own(nothing))
        rival = _entrant("tv", Role.CLASSICAL, fields, content - _LEAD_DB)
        promoted += any(
            judge(
                _entrant(f"net@{look + 1}", Role.CANDIDATE, fields, content + own(gains)),
                [in_service, rival],
                look=look,
                policy=GatePolicy(seed=seed),
                sites=fields,
            ).passed
            for look in range(1, looks + 1)
        )
    return promoted


def retrained(scores: NDArray[np.float64], *, seeds: int, looks: int) -> int:
    """Count the seeds in which one of several equally good trainings is promoted over another.

    Parameters
    ----------
    scores
        float64 [network, field], dB, see `retrained.Retrainings`.
    """
    promoted = 0
    for seed in range(seeds):
        rng = np.random.default_rng([32, seed])
        chosen = rng.choice(scores.shape[1], FIELDS, replace=False)
        order = rng.permutation(len(scores))
        fields = [f"f{number}" for number in chosen]
        kept = scores[:, chosen]
        in_service = _entrant("net@1", Role.IN_SERVICE, fields, kept[order[0]])
        rival = _entrant("tv", Role.CLASSICAL, fields, kept.min(axis=0) - _LEAD_DB)
        promoted += any(
            judge(
                _entrant(f"net@{look + 1}", Role.CANDIDATE, fields, kept[each]),
                [in_service, rival],
                look=look,
                policy=GatePolicy(seed=seed),
            ).passed
            for look, each in enumerate(order[1 : looks + 1], 1)
        )
    return promoted


def sharpened(restore: Callable[[Grey], Grey], *, seeds: int, trusting: bool) -> int:
    """Count the seeds in which a sharpener is promoted over a Gaussian that leaves much noise.

    `trusting` leaves the trust checks out, so that the scores alone have to refuse it.
    """
    promoted = 0
    for seed in range(seeds):
        cases = _cases(seed)
        candidate: Method = Restoring("sharpener", restore)
        in_service = classical(ClassicalRef(id="gaussian", parameters={"sigma_px": 0.6}), Denoise())
        rival = classical(ClassicalRef(id="median"), Denoise())
        found = evaluate([candidate, in_service, rival], cases)
        trust = () if trusting else check_cases(candidate, cases, Denoise(), seed=seed)
        roles = (Role.CANDIDATE, Role.IN_SERVICE, Role.CLASSICAL)
        first, *others = (
            Entrant.of(found, method_key(method.ref), role)
            for method, role in zip((candidate, in_service, rival), roles, strict=True)
        )
        judged = first.model_copy(update={"trust": trust})
        promoted += judge(judged, others, policy=GatePolicy(metric=found.metric, seed=seed)).passed
    return promoted


def _cases(seed: int) -> tuple[Case, ...]:
    rng = np.random.default_rng([33, seed])
    images = []
    for number in range(CASES):
        clean = 60 + 140 * render(SpecimenKind.PARTICLES, (_SIDE_PX, _SIDE_PX), rng).intensity
        noisy = clean + _SIGMA * rng.standard_normal(clean.shape, dtype=np.float32)
        images.append((f"stage:{number}", noisy.astype(np.float32)))
    return repeat_cases(images, NoiseModel(0.0, _SIGMA**2), rng)


def sharpens(pixels: Grey) -> Grey:
    """Raise fine contrast, and noise with it."""
    return pixels + np.float32(2.5) * (pixels - ndimage.gaussian_filter(pixels, 1.5))


def smooths_and_sharpens(pixels: Grey) -> Grey:
    """Take the finest noise away, and raise what is left."""
    smooth = ndimage.gaussian_filter(pixels, 0.6)
    return np.asarray(smooth + 2 * (smooth - ndimage.gaussian_filter(smooth, 1.5)), dtype=np.float32)


def _entrant(
    key: str, role: Role, fields: Sequence[str] | Mapping[str, str], scores: NDArray[np.float64]
) -> Entrant:
    return Entrant(key=key, role=role, scores=dict(zip(fields, map(float, scores), strict=True)))
