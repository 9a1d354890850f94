"""What is seen of a run that is complete, in pieces, each with changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from benchmark.compare import Comparison
from benchmark.figures import Panel
from benchmark.metrics import Metric
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import NetworkRef
from model_library.wire.orders import FrameCounts
from model_library.wire.tasks import Denoise
from simulations.audit import Audited
from simulations.closing import Closed
from simulations.default_fleet import default_scenario
from simulations.demo import Ended
from simulations.journal import Acquisition
from simulations.kept_networks import ReturnedNetwork
from simulations.observation import Look, SiteLook
from simulations.outcome import Outcome, outcome
from simulations.overview import CampaignSeen, CohortSeen, FederationSeen, Overview
from simulations.truth_scores import PairScores, Scored, SiteScores
from simulations.workspace import Run
from site_client.journal import BytesKind, InService
from site_client.outbox import OutboxCounts
from site_client.status import SiteStatus

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
NETWORK = NetworkRef(id="unet", version="1.0.0", weights_sha256="0" * 64)


def campaign(**changes: Any) -> CampaignSeen:
    method = NETWORK.model_dump()
    told: dict[str, Any] = {
        "site": "cortex",
        "instrument": "cortex-1",
        "stage": "monitoring",
        "failure": None,
        "events": [
            {"at": BEGUN, "stage": "selecting a network", "text": "begins"},
            {"at": BEGUN + timedelta(seconds=4), "stage": "selecting a network", "text": "unet is best"},
        ],
        "noise": None,
        "selection": {
            "winner": "unet@1.0.0",
            "metric": "psnr_repeat",
            "reason": "it is best",
            "ranking": [
                {
                    "network": "unet",
                    "version": "1.0.0",
                    "score": 20.0,
                    "behind_best": None,
                    "behind_best_ci95": None,
                }
            ],
        },
        "classical": {"ranking": [{"method": {"kind": "classical", "id": "gaussian"}, "score": 18.0}]},
        "gates": [
            {
                "candidate": "unet@1.0.0",
                "passed": True,
                "assigned": "unet@1.0.0",
                "reasons": ["better than gaussian"],
                "looks": 1,
                "comparisons": [
                    {
                        "rival": "gaussian",
                        "role": "classical",
                        "difference": 1.0,
                        "ci95": [0.5, 1.5],
                        "fields": 4,
                    }
                ],
            }
        ],
        "final": {"release_id": "r-1", "method": method},
        "releases": [
            {
                "release_id": "r-1",
                "purpose": "first",
                "method": method,
                "reasons": ["better than gaussian"],
                "published_at": BEGUN,
                "installed_at": BEGUN,
            }
        ],
        "images": [],
        "monitoring": [{"sequence": 5, "score": 20.0, "reason": None}],
    }
    return CampaignSeen.model_validate({**told, **changes})


def status(**changes: Any) -> SiteStatus:
    told: dict[str, Any] = {
        "site": "cortex",
        "instrument_id": "cortex-1",
        "coordinator_url": "https://127.0.0.1:1",
        "running": True,
        "pid": 1,
        "frames": FrameCounts(acquired=8, reconstructed=8, waiting=0, set_aside=0, returned=1),
        "every_n": 5,
        "first_images": 7,
        "in_service": InService(release_id="r-1", method=NETWORK),
        "releases": (),
        "throughput_mpix_per_s": 0.8,
        "acquisition_mpix_per_s": 0.1,
        "backlog_max": 6,
        "bytes_out": {BytesKind.FIRST_IMAGES: 700, BytesKind.CONTROL: 30},
        "outbox": {ImagePurpose.FIRST: OutboxCounts(0, 7, 0, 0)},
        "outbox_troubles": (),
        "set_aside": (),
        "alarms": {},
        "events": (),
    }
    return SiteStatus.model_validate({**told, **changes})


def acquired(count: int) -> tuple[Acquisition, ...]:
    return tuple(
        Acquisition(
            number=number,
            name=f"{number}.tif",
            field=f"field-{number}",
            pixels=1_000_000,
            session=0,
            written_at=float(number),
            has_truth=True,
        )
        for number in range(count)
    )


def site_look(**changes: Any) -> SiteLook:
    told: dict[str, Any] = {
        "name": "cortex",
        "planned": 8,
        "every_n": 5,
        "acquired": acquired(8),
        "status": status(),
        "campaigns": (campaign(),),
        "task": Denoise(),
        "released": "r-1",
    }
    return SiteLook(**{**told, **changes})


def scores() -> SiteScores:
    means = (("unet@1.0.0", 30.0), ("gaussian", 28.0), ("untreated", 15.0))
    return SiteScores(
        metric=Metric.PSNR,
        frames=4,
        fields=4,
        final="unet@1.0.0",
        first="unet@1.0.0",
        best_classical="gaussian",
        methods=tuple(
            Scored(key=key, means={Metric.PSNR: value, Metric.SSIM: value / 40}) for key, value in means
        ),
        difference=Comparison(difference=2.0, ci95=(1.0, 3.0), fields=4),
        difference_to_first=Comparison(difference=0.0, ci95=(0.0, 0.0), fields=4),
    )


def outcome_of(
    seen: SiteLook, audited: tuple[Audited, ...] = (), overview: Overview | None = None, **found: Any
) -> tuple[Outcome, Closed]:
    scenario = default_scenario(3, 8)
    site = next(each for each in scenario.sites if each.name == seen.name)
    run = Run(scenario=scenario, first_images=7, every_n=5)
    overview = overview or Overview(campaigns=seen.campaigns)
    looked = Look(9.0, (seen,), overview)
    ended = Ended(run, looked, overview, 9.0, False, looked.waiting_for())
    pixels = np.random.default_rng(0).uniform(0, 9, (64, 64)).astype(np.float32)
    panels = (Panel("as acquired", pixels), Panel("truth", pixels))
    closed = Closed(site, seen, **{"scores": scores(), "audited": audited, "panels": panels, **found})
    return outcome(ended, [closed], [RETURNED], 12.34), closed


RETURNED = ReturnedNetwork(
    id="federated-denoise",
    version="1+abc",
    weights_sha256="1" * 64,
    parent="unet 1.0.0",
    origin="federation-1",
    tuned_fields=36,
    sites=("cortex", "archive"),
)
FEDERATED = NetworkRef(id="federated-denoise", version="1+abc", weights_sha256="1" * 64)


def cohort(**changes: Any) -> CohortSeen:
    sites = ("cortex", "cerebellum", "retina", "archive")
    told = {
        "id": "denoise-unet",
        "task": {"kind": "denoise"},
        "architecture": "unet",
        "pixel_size_nm": [3.5, 5.0],
        "instruments": [
            {"site": site, "id": f"{site}-1", "federates": site != "archive", "pixel_size_nm": 4.0}
            for site in sites
        ],
    }
    return CohortSeen.model_validate({**told, **changes})


def federation(**changes: Any) -> FederationSeen:
    one_round = {
        "number": 1,
        "started_at": 0.0,
        "eligible": ["cortex", "cerebellum", "retina"],
        "contributed": ["cortex", "retina"],
        "refused": [{"site": "cerebellum", "cause": "expected finite numbers, found NaN"}],
        "seconds": 12.5,
        "train_seconds": 4.0,
        "bytes_up": 5_000_000,
        "bytes_down": 7_500_000,
        "fields": {},
        "examples": {},
        "attempt": 1,
    }
    gate = {
        "site": "cortex",
        "instrument": "cortex-1",
        "candidate": "federated-denoise@1+abc",
        "passed": True,
        "assigned": "federated-denoise@1+abc",
        "metric": "psnr_repeat",
        "reasons": ["not worse than what is in service"],
        "comparisons": [],
    }
    released = {
        "release_id": "r-2",
        "purpose": "federated",
        "method": FEDERATED.model_dump(),
        "instrument": "cortex-1",
        "reasons": ["not worse"],
        "published_at": BEGUN + timedelta(seconds=60),
        "installed_at": BEGUN + timedelta(seconds=62),
    }
    told = {
        "id": "federation-1",
        "cohort": "denoise-unet",
        "stage": "done",
        "failure": None,
        "events": [{"at": BEGUN + timedelta(seconds=30), "stage": "rounds", "text": "begins"}],
        "rounds": [one_round],
        "start": {"members": [{"site": "cortex"}, {"site": "retina"}]},
        "network": FEDERATED.model_dump(),
        "gates": [gate],
        "releases": [released, {"site": "archive", "release_id": None, "reasons": ["keeps its own"]}],
        "took_no_part": ["archive"],
    }
    return FederationSeen.model_validate({**told, **changes})


def pair(metric: Metric = Metric.PSNR) -> PairScores:
    difference = Comparison(difference=0.5, ci95=(0.25, 0.75), fields=6)
    return PairScores(metric=metric, before=28.0, after=28.5, difference=difference, frames=6, fields=6)
