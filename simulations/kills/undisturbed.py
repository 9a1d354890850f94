"""The rounds of a loopback federation without processes: the same round loop, the sites' own training code.

What differs from processes is only that nothing can be killed, and that nobody is late.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmark.splits import Split, assign, field_key
from coordinator.federation import rounds
from coordinator.federation.checkpoint import encode_weights, read_weights
from coordinator.federation.fleet import Weights
from coordinator.federation.memory_fleet import Answer, MemoryFleet
from coordinator.federation.plan import START_FILE, FederationPlan, Member, write_plan
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_file
from model_library.wire.delta_coding import most_bytes, unpack
from simulations.kills.network import BATCH, CONFIG, LEARNING_RATE, PATCH_PX, STEPS, TASK, frames_of
from simulations.scenario import SiteScenario


def undisturbed(sites: tuple[SiteScenario, ...], start: Weights, count: int, seed: int) -> Weights:
    """Return the weights after so many rounds in which every site contributes."""
    plan = FederationPlan(
        federation_id="federation-0001",
        task=TASK,
        config=CONFIG,
        members=tuple(Member(instrument_id=site.name, site=site.name) for site in sites),
        rounds=count,
        quorum=len(sites),
        assemble_s=1.0,
        round_s=3600.0,
        steps=STEPS,
        batch=BATCH,
        patch_px=PATCH_PX,
        learning_rate=LEARNING_RATE,
        seed=seed,
    )
    with tempfile.TemporaryDirectory(prefix="undisturbed-") as name:
        folder = Path(name)
        write_plan(folder, plan)
        (folder / START_FILE).write_bytes(encode_weights(start))
        fleet = MemoryFleet({site.name: _answering(site, folder / site.name) for site in sites})
        outcome = rounds.run(plan, fleet, folder)
        assert outcome.weights is not None, outcome.cause
        return read_weights(folder / outcome.weights)


def _answering(site: SiteScenario, folder: Path) -> Callable[[AdaptationPlan, Weights], Answer]:
    from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE
    from site_client.trainer import Trainer

    trainer = Trainer()
    folder.mkdir()
    frames = _granted(site, folder)

    def answer(plan: AdaptationPlan, weights: Weights) -> Answer:
        (folder / WEIGHTS_FILE).write_bytes(encode_weights(weights))
        answered = trainer.answer(
            {
                "op": "adapt",
                "plan": plan.model_dump(mode="json"),
                "exchange": str(folder),
                "kept": str(folder / "kept"),
                "frames": frames,
                "hold": str(folder / "hold"),
                "until": time.monotonic() + plan.deadline_s,
            }
        )
        most = most_bytes(len(weights), sum(array.size for array in weights.values()))
        report = AdaptationReport.model_validate(answered["report"])
        return unpack((folder / UPDATE_FILE).read_bytes(), most), report.model_dump_json()

    return answer


def _granted(site: SiteScenario, folder: Path) -> list[dict[str, str]]:
    """Write a site's frames, and list those that a coordinator lets it train on, the newest first."""
    taken: dict[str, Split] = {}
    found = []
    for number, acquired in reversed([*enumerate(frames_of(site))]):
        path = folder / f"{number:04d}.tif"
        path.write_bytes(encode_acquisition(acquired.frame))
        sha256 = sha256_file(path)
        field = field_key(acquired.frame.field, sha256)
        taken[field] = assign(field, taken)
        found.append({"path": str(path), "sha256": sha256, "field": field})
    return [each for each in found if taken[each["field"]] is Split.TUNING]
