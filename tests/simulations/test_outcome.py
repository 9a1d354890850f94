from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.compare import Comparison
from benchmark.figures import Panel
from benchmark.metrics import Metric
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.orders import FrameCounts
from simulations.audit import Audited
from simulations.closing import Closed
from simulations.demo import Ended
from simulations.journal import Acquisition
from simulations.observation import Look, Point, SiteLook, SitePoint, look, point, read_history
from simulations.operator_view import CampaignSeen, Overview
from simulations.outcome import Outcome, outcome, timeline
from simulations.page import render_page, summary_row
from simulations.scenario import default_scenario
from simulations.truth_scores import Scored, SiteScores
from simulations.workspace import Run, Workspace
from site_client.journal import BytesKind, InService
from site_client.outbox import OutboxCounts
from site_client.status import SiteStatus

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
NETWORK = NetworkRef(id="unet", version="1.0.0", weights_sha256="0" * 64)


def campaign(**changes: Any) -> CampaignSeen:
    method = NETWORK.model_dump()
    told: dict[str, Any] = {
        "site": "membranes",
        "instrument": "membranes-1",
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
        "site": "membranes",
        "instrument_id": "membranes-1",
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
        "name": "membranes",
        "planned": 8,
        "every_n": 5,
        "acquired": acquired(8),
        "status": status(),
        "campaign": campaign(),
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


def outcome_of(seen: SiteLook, audited: tuple[Audited, ...] = ()) -> tuple[Outcome, Closed]:
    site = default_scenario(3, 8).sites[0]
    run = Run(scenario=default_scenario(3, 8), first_images=7, every_n=5)
    waiting = tuple(f"membranes: {words}" for words in seen.waiting_for())
    ended = Ended(run, Look(9.0, (seen,)), Overview(campaigns=()), 9.0, False, waiting)
    pixels = np.random.default_rng(0).uniform(0, 9, (64, 64)).astype(np.float32)
    closed = Closed(site, seen, scores(), audited, (Panel("as acquired", pixels), Panel("truth", pixels)))
    return outcome(ended, [closed], 12.34), closed


def test_complete_run_says_so_and_holds_the_keys_that_were_asked_for() -> None:
    found, _ = outcome_of(site_look())

    told = found.model_dump(mode="json")
    assert (told["complete"], told["waiting"], told["duration_s"], told["seed"]) == (True, [], 12.3, 3)
    (site,) = told["sites"]
    assert site["frames"] == {
        "acquired": 8,
        "reconstructed": 8,
        "waiting": 0,
        "set_aside": 0,
        "returned": 1,
        "every_n": 5,
    }
    assert site["method"] == {key: {"id": "unet", "version": "1.0.0"} for key in ("first", "final")}
    wanted = {
        "metric",
        "final",
        "first",
        "best_classical",
        "best_classical_name",
        "difference_ci95",
        "frames",
    }
    assert wanted <= set(site["scores"])
    assert site["scores"]["difference_ci95"] == [1.0, 3.0]
    assert site["throughput_mpix_per_s"] == 0.8
    assert site["acquisition_mpix_per_s"] == pytest.approx(1.0)
    assert site["backlog_max"] == 6
    assert site["bytes_out"]["first_images"] == 700
    assert told["selection"][0]["site"] == told["gates"][0]["site"] == "membranes"
    assert told["releases"][0]["instruments"] == ["membranes-1"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": None}, "its daemon to start"),
        ({"acquired": acquired(7)}, "1 frames to be acquired"),
        ({"campaign": campaign(stage="fine-tuning", final=None)}, "its campaign: fine-tuning"),
        ({"campaign": campaign(monitoring=[])}, "1 returned frames to be scored"),
        (
            {
                "status": status(
                    frames=FrameCounts(acquired=8, reconstructed=5, waiting=3, set_aside=0, returned=1)
                )
            },
            "3 frames to be reconstructed",
        ),
        (
            {
                "status": status(
                    frames=FrameCounts(acquired=8, reconstructed=8, waiting=0, set_aside=0, returned=0)
                )
            },
            "1 frames to be returned",
        ),
        ({"status": status(in_service=None)}, "its campaign: monitoring"),
    ],
)
def test_incomplete_run_says_what_is_still_to_come(changes: dict[str, Any], words: str) -> None:
    found, _ = outcome_of(site_look(**changes))

    assert not found.complete
    assert f"membranes: {words}" in found.waiting


def test_failed_campaign_is_not_a_complete_run_but_does_not_hold_it_up() -> None:
    failed = campaign(stage="failed", failure={"stage": "selecting", "reason": "no network"}, final=None)

    found, _ = outcome_of(site_look(campaign=failed))

    assert found.waiting == ("membranes: selecting: no network",)
    assert site_look(campaign=failed).campaign_over


def test_result_that_contradicts_its_provenance_is_not_a_complete_run() -> None:
    found, _ = outcome_of(site_look(), (Audited(result="a.ome.tif", method="unet 1.0.0", fault="differs"),))

    assert found.waiting == ("membranes: a.ome.tif: differs",)


def test_page_shows_scores_pictures_and_reasons() -> None:
    found, closed = outcome_of(site_look())
    counts = SitePoint(acquired=8, reconstructed=4, waiting=4, returned=1)

    html = render_page(found, [closed], [Point(at_s=1.0, sites={"membranes": counts})])

    for words in (
        "30.00 dB",
        "+2.00 dB [+1.00, +3.00]",
        "better than gaussian",
        "data:image/png",
        "it is best",
    ):
        assert words in html
    assert "the network beats the best classical algorithm" in html


def test_classical_winner_is_named_as_assigned() -> None:
    gaussian = InService(release_id="r-1", method=ClassicalRef(id="gaussian"))
    found, _ = outcome_of(site_look(status=status(in_service=gaussian)))

    assert found.sites[0].assigned == "a classical algorithm"
    verdict = summary_row(found.sites[0])[-1]
    assert verdict == "a classical algorithm is assigned; the gate's last word: better than gaussian"


def test_timeline_counts_from_the_first_event() -> None:
    assert [moment.at_s for moment in timeline([campaign()])] == [0.0, 4.0]
    assert timeline([]) == ()


def test_history_survives_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    whole = point(Look(2.0, (site_look(),))).model_dump_json()
    path.write_text(f"{whole}\n{whole[:9]}")

    (only,) = read_history(path)

    assert only.sites["membranes"] == SitePoint(acquired=8, reconstructed=8, waiting=0, returned=1)


def test_look_before_anything_started(tmp_path: Path) -> None:
    run = Run(scenario=default_scenario(0, 8), first_images=7, every_n=5)

    seen = look(run, Workspace(tmp_path), None, 0.0)

    assert not seen.done
    assert [site.waiting_for() for site in seen.sites] == [("its daemon to start",)] * 3
