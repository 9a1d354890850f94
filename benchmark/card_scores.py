"""The scores on a model card, measured anew."""

from pathlib import Path

from benchmark.assessment import Assessment, Row, assess
from benchmark.held_out import held_out_cases, holds_out, seen_cases, told
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.networks import as_method
from benchmark.rims import object_rows
from benchmark.slices import InStack
from benchmark.suite import scored_cases, tuning_cases
from model_library.cards.card import CardScore
from model_library.inference.weights import LoadedNetwork
from model_library.wire.tasks import Segment
from model_library.zoo.recipe import PretrainRecipe, read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.stacks import labelled_stack
from model_library.zoo.store import GAIN

SIMULATED = "held-out simulated specimens, degraded in the ranges of the network's own recipe"
REAL = "held-out real micrographs"
TUNING_IMAGES = 10


def measure(
    library: Library,
    network_id: str,
    images: int,
    *,
    data: Path | None = None,
    tuning_images: int = TUNING_IMAGES,
) -> tuple[tuple[CardScore, ...], Assessment]:
    """Score a network on specimens that it never saw, against tuned classical algorithms.

    Parameters
    ----------
    images
        Specimens to score on, or at most so many real micrographs; each is a field of its own.
    data
        Folder of real micrographs, where the recipe holds some out.
    tuning_images
        Other specimens, to tune the classical algorithms on.

    Returns
    -------
    tuple
        The scores for the card (each metric, and the paired gain over the best classical algorithm
        by the first), and the whole assessment.

    Raises
    ------
    SynopticError
        Where network, card or recipe is missing or refused.
    """
    network = library.load(network_id)
    recipe = read_recipe(recipe_path(network_id))
    metrics = (Metric.DICE,) if isinstance(recipe.task, Segment) else (Metric.PSNR, Metric.SSIM)
    method = _method(network, recipe, data)
    assessment = assess(
        (method,),
        recipe.task,
        tuning_cases(recipe, tuning_images, data),
        scored_cases(recipe, images, data),
        metrics=metrics,
        seed=recipe.fit.seed,
    )
    about = (SIMULATED, f"synoptic benchmark card {network_id} --images {images}")
    if holds_out(recipe):
        about = (f"{REAL}: {told(recipe)}", f"{about[1]} --data DATA")
    scores = _network_scores(assessment, method, about)
    if recipe.border_px is not None and recipe.labelled:
        cases = (
            seen_cases(recipe, tuning_images, data, objects=True),
            held_out_cases(recipe, images, data, objects=True),
        )
        scores += row_scores(*object_rows(network, *cases, seed=recipe.fit.seed), about, gain=True)
    return tuple(scores), assessment


def _method(network: LoadedNetwork, recipe: PretrainRecipe, data: Path | None) -> Method:
    if recipe.stack is None:
        return as_method(network)
    return InStack(network, labelled_stack(recipe.stack, data, held_out=True).pixels)


def _network_scores(found: Assessment, method: Method, about: tuple[str, str]) -> list[CardScore]:
    """Tell of the network's rows, each beside the best classical algorithm's; gains by the first metric."""
    rivals = {row.metric: row for row in found.rows if row.method == found.best_classical}
    return [
        score
        for row in found.rows
        if row.ref == method.ref and row.method not in found.failures
        for score in row_scores(row, rivals[row.metric], about, gain=row.metric is found.rows[0].metric)
    ]


def row_scores(row: Row, rival: Row, about: tuple[str, str], *, gain: bool) -> list[CardScore]:
    """Tell of one row; `about` is the suite and the command."""
    if row.value is None or row.ci95 is None:
        return []
    score = CardScore(
        suite=about[0],
        metric=row.metric,
        value=row.value,
        ci95=row.ci95,
        best_classical=rival.method,
        best_classical_value=rival.value,
        fields=row.n,
        command=about[1],
    )
    if not gain or row.gain is None:
        return [score]
    paired = {"metric": f"{row.metric}{GAIN}", "value": row.gain.difference, "ci95": row.gain.ci95}
    return [score, score.model_copy(update=paired)]
