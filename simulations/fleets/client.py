"""Flower's client side in a simulation: what a site does to a message, in the engine's own processes."""

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.wire.delta_coding import most_bytes, sealed, unpack
from model_library.wire.tasks import Segment
from simulations.fleets.annotated import learn_in
from simulations.fleets.attacks import Attack, poisoned
from simulations.fleets.named_grid import NAME
from simulations.fleets.sites import SiteFiles
from site_client.federation.client_app import answered
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE
from site_client.trainer import Trainer

_TRAINERS = 16
"""Instruments whose frames a process keeps in memory."""
_ATTACK_WORD = 0xA77AC


def client_app(sites: tuple[SiteFiles, ...], attacks: Mapping[str, Attack], room: Path) -> ClientApp:
    """Make the app of all instruments; which one it is, it learns from the number of its node.

    Parameters
    ----------
    sites
        In the order of the engine's nodes.
    attacks
        What some of them do, by id.
    room
        Folder for what instruments keep from round to round, and for exchanges under way.
    """
    app = ClientApp()

    @app.query()
    def name(message: Message, context: Context) -> Message:
        told = ConfigRecord({"id": sites[int(context.node_config["partition-id"])].id})
        return Message(RecordDict({NAME: told}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        site = sites[int(context.node_config["partition-id"])]

        def work(exchange: Path, plan: AdaptationPlan) -> AdaptationReport:
            learn = learn_in if isinstance(plan.task, Segment) else adapt_in
            report = learn(exchange, plan, site, room)
            attack = attacks.get(site.id)
            return report if attack is None else poison_in(exchange, report, attack, site.id)

        return answered(message, room, work)

    return app


def adapt_in(exchange: Path, plan: AdaptationPlan, site: SiteFiles, room: Path) -> AdaptationReport:
    """Let the site's own trainer adapt the weights in a folder, as its daemon would have it do."""
    question = {
        "op": "adapt",
        "plan": plan.model_dump(mode="json"),
        "exchange": str(exchange),
        "kept": str(room / "kept" / site.id),
        "frames": [frame.model_dump(exclude={"labels"}) for frame in site.trained],
        "hold": str(room / "never-held"),
        # How long it takes is simulated, not measured.
        "until": math.inf,
    }
    answer = _trainer(site.id).answer(question)
    return AdaptationReport.model_validate(answer["report"])


def poison_in(exchange: Path, report: AdaptationReport, attack: Attack, site: str) -> AdaptationReport:
    """Put what an attacker sends in the place of the update in a folder."""
    path = exchange / UPDATE_FILE
    weights = (exchange / WEIGHTS_FILE).stat().st_size
    honest = unpack(path.read_bytes(), most_bytes(1 << 10, weights))
    rng = np.random.default_rng([_ATTACK_WORD, report.number, *site.encode()])
    update, report = poisoned(honest, report, attack, rng)
    path.write_bytes(sealed(update))
    return report


@lru_cache(maxsize=_TRAINERS)
def _trainer(site: str) -> Trainer:
    import torch

    # One thread per process: the engine runs as many processes as it may use processors.
    torch.set_num_threads(1)
    del site
    return Trainer()
