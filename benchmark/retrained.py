"""One small network trained several times: how much equally good networks differ from field to field."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.evaluate import evaluate
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import method_key
from benchmark.suite import scored_cases
from model_library.inference.engine import NetworkMethod
from model_library.inference.weights import assemble
from model_library.networks.config import UNetConfig
from model_library.signing.digests import sha256_bytes
from model_library.zoo.pretrain import pretrain
from model_library.zoo.recipe import PretrainRecipe, read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.store import weights_bytes

_RECIPE = "unet-denoise-shot"
_WIDTHS = (8, 16, 32)


@dataclass(frozen=True)
class Retrainings:
    """PSNR in dB of several trainings, float64 [network, field], each network's mean set to that of all.

    So that they are of equal quality over all fields, and differ from field to field as trainings do.
    """

    scores: NDArray[np.float64]

    @property
    def interaction_db(self) -> float:
        """Standard deviation of the difference of two networks on one field, in dB."""
        own = self.scores - self.scores.mean(axis=0)
        return float(np.sqrt(2) * own.std(ddof=1))


def retrainings(networks: int, fields: int, steps: int, seed: int) -> Retrainings:
    """Train a small U-Net by one recipe from several seeds, which also draw its specimens, and score all.

    Parameters
    ----------
    networks
        How many trainings.
    fields
        Held-out specimens to score on, each a field.
    steps
        Of each training.
    seed
        Of the first; the others follow.
    """
    recipe = read_recipe(recipe_path(_RECIPE))
    cases = scored_cases(recipe, fields)
    methods = [_trained(recipe, steps, seed + number) for number in range(networks)]
    found = evaluate(methods, cases, Metric.PSNR)
    scores = np.array([list((found.complete(method_key(each.ref)) or {}).values()) for each in methods])
    return Retrainings(scores - scores.mean(axis=1, keepdims=True) + scores.mean())


def _trained(recipe: PretrainRecipe, steps: int, seed: int) -> Method:
    assert recipe.specimens is not None
    small = recipe.model_copy(
        update={
            "version": str(seed),
            "network": UNetConfig(widths=_WIDTHS, residual=True),
            "specimens": recipe.specimens.model_copy(update={"images": 20, "side_px": 128}),
            "fit": recipe.fit.model_copy(update={"steps": steps, "batch": 8, "seed": seed}),
        }
    )
    made = pretrain(small, library=Library(), data=None)
    content = weights_bytes(made.module)
    card = made.card.model_copy(update={"weights_sha256": sha256_bytes(content)})
    return NetworkMethod(assemble(card, content, source=f"training {seed}"))
