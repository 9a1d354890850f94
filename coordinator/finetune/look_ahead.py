"""Which of the leading networks a campaign tunes: a look ahead at what a few steps make of them."""

import time
from typing import TYPE_CHECKING

from benchmark.selection.ranking import Selection
from benchmark.splits import Split
from coordinator.cases import cases_of
from coordinator.findings import instrument_of
from coordinator.finetune.stage import fit_config, material_of
from coordinator.methods import network_folder
from coordinator.records import Finding, Stage
from coordinator.stages import selected
from coordinator.store.values import Campaign, Event
from coordinator.workplace import Workplace
from model_library.wire.methods import NetworkRef

if TYPE_CHECKING:
    from benchmark.selection.look_ahead import LookAhead


def starting_network(place: Workplace, campaign: Campaign) -> NetworkRef:
    """Choose the network to tune: the one selected, or one close behind that a look ahead puts first.

    The look ahead is made once, is a finding of the campaign, and is left out where
    `tuning.look_ahead_steps` is 0, no other network is near, or all cases are of one field.
    """
    winner, _ = selected(campaign)
    known = campaign.findings.get(Finding.LOOK_AHEAD)
    if known is not None:
        return _winner_of(known["finalists"], known["winner"])
    seen = _look(place, campaign)
    if seen is None:
        return winner
    told = seen.model_dump(mode="json")
    place.campaigns.find_out(campaign.id, Finding.LOOK_AHEAD, told)
    event = Event(place.clock(), Stage.FINE_TUNING, f"look ahead: {seen.reason}")
    place.campaigns.note(campaign.id, f"{Stage.FINE_TUNING}/look ahead", event)
    return _winner_of(told["finalists"], seen.winner)


def _look(place: Workplace, campaign: Campaign) -> "LookAhead | None":
    import torch

    from benchmark.selection.look_ahead import finalists_of, look_ahead, parted
    from model_library.inference.engine import load_network

    tuning = place.settings.tuning
    steps = min(tuning.look_ahead_steps, tuning.steps)
    selection = Selection.model_validate(campaign.findings[Finding.SELECTION])
    keys = finalists_of(selection)
    if not steps or len(keys) < 2:
        return None
    cases = cases_of(place, campaign, Split.TUNING)
    fields = {case.field for case in cases}
    if len(fields) < 2:
        return None
    learn, held = parted(sorted(fields))
    torch.set_num_threads(place.settings.threads)
    refs = {one.key: NetworkRef.model_validate(one.ref.model_dump()) for one in selection.ranking}
    config = fit_config(place.settings, instrument_of(place, campaign).task)
    deadline = time.monotonic() + tuning.look_ahead_s
    seen = look_ahead(
        [load_network(network_folder(place, refs[key])) for key in keys],
        material_of(place, campaign, learn).pairs(),
        [case for case in cases if case.field in held],
        config.model_copy(update={"steps": steps}),
        ends=lambda: place.stopping.is_set() or time.monotonic() > deadline,
    )
    # What a stop cut short must not be kept as a finding: it is made anew after the restart.
    place.check()
    return seen


def _winner_of(finalists: list[dict[str, object]], key: str) -> NetworkRef:
    return next(NetworkRef.model_validate(each["ref"]) for each in finalists if each["key"] == key)
