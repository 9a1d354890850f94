"""Scores in words, with the unit of their metric, and the fleet's story in a few lines."""

from benchmark.metrics import Metric
from simulations.outcome import Outcome

DICE = str(Metric.DICE)
_PSNR = str(Metric.PSNR)


def measured(value: float | None, metric: str) -> str:
    """Print a score: dB of a ratio, a bare overlap of masks."""
    if value is None:
        return "-"
    return f"{value:.3f}" if metric == DICE else f"{value:.2f} dB"


def interval(value: float | None, ci95: tuple[float, float] | None, metric: str) -> str:
    """Print a difference with its 95 % interval."""
    if value is None or ci95 is None:
        return "-"
    if metric == DICE:
        return f"{value:+.3f} [{ci95[0]:+.3f}, {ci95[1]:+.3f}]"
    return f"{value:+.2f} dB [{ci95[0]:+.2f}, {ci95[1]:+.2f}]"


def fleet_in_words(outcome: Outcome) -> list[str]:
    """Sum up rounds, cohorts, drifts and improvements, a line each."""
    lines = [
        f"{each.federation}, round {each.number}: {len(each.contributed)} of {len(each.eligible)} "
        f"contributed in {each.seconds:.1f} s, {each.train_seconds:.1f} s of it training"
        for each in outcome.rounds
    ]
    for cohort in outcome.cohorts:
        lines += [
            f"{each.site}: {each.assigned} network after the federation; federated minus own "
            f"{interval(each.difference_to_local, each.difference_ci95, _PSNR)}"
            for each in cohort.sites
            if each.assigned is not None
        ]
    lines += [
        f"{each.site}: drift noticed at frame {each.detected_sequence}, begun at {each.true_onset_sequence}"
        for each in outcome.drift
    ]
    for improved in outcome.improvements:
        what = "replaced" if improved.replaced else "did not replace"
        scores = improved.scores
        difference = (
            "-" if scores is None else interval(scores.difference, scores.difference_ci95, scores.metric)
        )
        lines.append(f"{improved.site}: the improvement {what} {improved.before.id}; {difference}")
    return lines
