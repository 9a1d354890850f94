"""A site that learns to segment from labels of its own.

No site that is deployed does: its trainer needs no labels. Here simulated specimens bring them, so that a
flip of labels can be tried. What is sent, and how, is as with the site's own trainer.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.training.fit import FitConfig, fit
from model_library.training.labelled import AnnotatedPairs
from model_library.training.objectives import PairObjective
from model_library.training.proximal import ProximalObjective
from model_library.wire.delta_coding import pack
from simulations.fleets.learning import module_of
from simulations.fleets.sites import SiteFiles
from site_client.errors import AdaptationRefused
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE
from site_client.federation.kept import Kept, KeptArrays
from site_client.trainer import read_frames


def learn_in(exchange: Path, plan: AdaptationPlan, site: SiteFiles, room: Path) -> AdaptationReport:
    """Train the weights in a folder on a site's frames and labels, and leave the update there.

    Parameters
    ----------
    exchange
        Holds `WEIGHTS_FILE`; takes `UPDATE_FILE`.
    room
        Folder for what instruments keep from round to round.

    Raises
    ------
    AdaptationRefused
        The plan asks for arrays that stay or travel alone, or for privacy, which this site cannot.
    RecipeError
        Training diverges.
    """
    if plan.keeps or plan.travels or plan.privacy:
        raise AdaptationRefused(
            "expected a plan whose arrays all travel, without privacy, for sites that learn from labels; "
            "choose another algorithm in [federation]"
        )
    weights = load_file(exchange / WEIGHTS_FILE)
    kept = KeptArrays(room / "kept" / site.id, plan.federation_id)
    frames = read_frames([{"path": t.path, "sha256": t.sha256, "field": t.field} for t in site.trained])
    classes = [np.load(t.labels, allow_pickle=False) for t in site.trained if t.labels is not None]
    pairs = AnnotatedPairs([frame.pixels for frame in frames], classes)
    start, objective = module_of(weights, plan), PairObjective(pairs)
    held = ProximalObjective(objective, start, plan.proximal) if plan.proximal else objective
    fitted = fit(start, held, _config(plan))
    state = fitted.module.state_dict()
    change = {key: state[key].detach().numpy() - weights[key] for key in plan.sends(weights)}
    packed = pack(change, plan.encoding, kept.before(plan.number, weights).residual)
    kept.keep(plan.number, Kept(packed.residual))
    (exchange / UPDATE_FILE).write_bytes(packed.content)
    return AdaptationReport(
        federation_id=plan.federation_id,
        number=plan.number,
        examples=len(frames),
        fields=tuple(sorted({frame.field for frame in frames})),
        steps=len(fitted.losses),
        loss_first=fitted.losses[0],
        loss_last=fitted.losses[-1],
        train_s=0.0,
    )


def _config(plan: AdaptationPlan) -> FitConfig:
    return FitConfig(
        steps=plan.steps,
        batch=plan.batch,
        patch_px=plan.patch_px,
        learning_rate=plan.learning_rate,
        loss="cross_entropy",
        seed=int(np.random.SeedSequence([plan.seed, plan.number]).generate_state(1)[0]),
    )
