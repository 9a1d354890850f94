"""How often the gate errs: `python -m benchmark.gate_error --json FILE`.

Candidates whose worth is known come before the gate, several times over on the same fields. Scores of
equally good networks are drawn with the spread that re-trainings have, or are those of real re-trainings;
candidates that sharpen noise are real methods on simulated images.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
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
from model_library.wire.base import Message
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise

_FIELDS, _SITES, _PER_SITE = 8, 4, 4
_CONTENT_DB, _INTERACTION_DB, _LEAD_DB = 3.0, 0.25, 1.5
_SIDE_PX, _SIGMA, _CASES = 96, 15.0, 6


class GateRow(Message):
    """One planted candidate.

    Attributes
    ----------
    scores
        Where its scores come from.
    looks
        At the same fields, with another candidate of the kind each.
    promoted
        Seeds in which any of the looks promoted one.
    bar
        Most seeds (least, for a real improvement) that the design allows.
    """

    candidate: str
    scores: str
    seeds: int
    looks: int
    promoted: int
    bar: str
    holds: bool


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
        content = 29 + _CONTENT_DB * rng.standard_normal(len(fields))

        def own(gains: Mapping[str, float], rng: np.random.Generator = rng) -> NDArray[np.float64]:
            tails = rng.standard_t(5, len(fields)) / np.sqrt(5 / 3)
            found: NDArray[np.float64] = np.array([gains[site] for site in fields.values()])
            return found + interaction_db / np.sqrt(2) * tails

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
        chosen = rng.choice(scores.shape[1], _FIELDS, replace=False)
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
    for number in range(_CASES):
        clean = 60 + 140 * render(SpecimenKind.PARTICLES, (_SIDE_PX, _SIDE_PX), rng).intensity
        noisy = clean + _SIGMA * rng.standard_normal(clean.shape, dtype=np.float32)
        images.append((f"stage:{number}", noisy.astype(np.float32)))
    return repeat_cases(images, NoiseModel(0.0, _SIGMA**2), rng)


def _sharpens(pixels: Grey) -> Grey:
    return pixels + np.float32(2.5) * (pixels - ndimage.gaussian_filter(pixels, 1.5))


def _smooths_and_sharpens(pixels: Grey) -> Grey:
    smooth = ndimage.gaussian_filter(pixels, 0.6)
    return np.asarray(smooth + 2 * (smooth - ndimage.gaussian_filter(smooth, 1.5)), dtype=np.float32)


def _entrant(
    key: str, role: Role, fields: Sequence[str] | Mapping[str, str], scores: NDArray[np.float64]
) -> Entrant:
    return Entrant(key=key, role=role, scores=dict(zip(fields, map(float, scores), strict=True)))


def rows(seeds: int, looks: int, trainings: int, steps: int) -> list[GateRow]:
    """Put every planted candidate before the gate."""
    told = f"drawn: {_CONTENT_DB:g} dB between fields, {_INTERACTION_DB:g} dB between networks (t5)"
    one = {"here": 0.0}
    equal = drawn(one, seeds=seeds, looks=looks, per_site=_FIELDS, interaction_db=_INTERACTION_DB)
    found = [_row("re-training of equal quality", told, (seeds, looks), equal, 0.05)]
    if trainings:
        from benchmark.retrained import retrainings

        real = retrainings(trainings, fields=40, steps=steps, seed=100)
        count = retrained(real.scores, seeds=seeds, looks=min(looks, trainings - 1))
        told_real = (
            f"{trainings} real trainings of {steps} steps, means made equal, {real.interaction_db:.2f} dB"
        )
        found.append(
            _row("re-training of equal quality", told_real, (seeds, min(looks, trainings - 1)), count, 0.05)
        )
    images = f"real methods on {_CASES} simulated images, without truth"
    for name, restore in (("sharpens noise", _sharpens), ("smooths, then sharpens", _smooths_and_sharpens)):
        for trusting in (False, True):
            count = sharpened(restore, seeds=seeds, trusting=trusting)
            with_ = "scores alone" if trusting else "scores and trust checks"
            found.append(_row(f"{name} ({with_})", images, (seeds, 1), count, 0.0))
    for loss in (-0.3, -1.0):
        gains = dict.fromkeys((f"site {n}" for n in range(1, _SITES)), 0.8) | {"site 0": loss}
        count = drawn(gains, seeds=seeds, looks=looks, per_site=_PER_SITE, interaction_db=_INTERACTION_DB)
        found.append(_row(f"+0.8 dB at three sites, {loss:+.1f} dB at one", told, (seeds, looks), count, 0.0))
    better = {"here": 0.5}
    count = drawn(better, seeds=seeds, looks=1, per_site=_FIELDS, interaction_db=_INTERACTION_DB)
    real_gain = _row("+0.5 dB everywhere, first look", told, (seeds, 1), count, 0.0)
    bar = {"bar": "at least 90 %, for comparison", "holds": count >= 0.9 * seeds}
    return [*found, real_gain.model_copy(update=bar)]


def _row(candidate: str, scores: str, size: tuple[int, int], promoted: int, most: float) -> GateRow:
    seeds, looks = size
    return GateRow(
        candidate=candidate,
        scores=scores,
        seeds=seeds,
        looks=looks,
        promoted=promoted,
        bar=f"at most {most * 100:g} of 100" if most else "never",
        holds=promoted <= most * seeds,
    )


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Instruments, for every row.")] = 100,
    looks: Annotated[int, typer.Option(min=1, help="Candidates of a kind at the same fields.")] = 10,
    trainings: Annotated[int, typer.Option(min=0, help="Train so many small networks as well; 0: none.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 150,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Measure how often candidates of known worth are promoted; exit code 1 if a bar is missed."""
    found = rows(seeds, looks, trainings, steps)
    for row in found:
        typer.echo(
            f"{row.candidate:46} promoted in {row.promoted:3} of {row.seeds} ({row.looks} looks; {row.bar})"
            f" {'ok' if row.holds else 'MISSED'}  {row.scores}"
        )
    if json_file is not None:
        content = {"rows": [row.model_dump(mode="json") for row in found]}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not all(row.holds for row in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
