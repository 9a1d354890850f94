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
from model_library.wire.tasks import Denoise, Segment
from simulations.audit import Audited
from simulations.closing import Closed
from simulations.default_fleet import default_scenario
from simulations.demo import Ended
from simulations.journal import Acquisition
from simulations.kept_networks import ReturnedNetwork
from simulations.observation import Look, Point, SiteLook, SitePoint, look, point, read_history
from simulations.outcome import Outcome, outcome, timeline
from simulations.overview import CampaignSeen, CohortSeen, FederationSeen, InstrumentSeen, Overview
from simulations.page import render_page, summary_row
from simulations.replacements import Improved, Shared
from simulations.truth_scores import PairScores, Scored, SiteScores
from simulations.workspace import Run, Workspace
from site_client.journal import BytesKind, InService
from site_client.objects import SegmentationSummary
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
        "skipped": 0,
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
    assert told["selection"][0]["site"] == told["gates"][0]["site"] == "cortex"
    assert told["releases"][0]["instruments"] == ["cortex-1"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": None}, "its daemon to start"),
        ({"acquired": acquired(7)}, "1 frames to be acquired"),
        ({"campaigns": (campaign(stage="fine-tuning", final=None),)}, "its campaign 1: fine-tuning"),
        ({"campaigns": (campaign(monitoring=[]),)}, "1 returned frames to be scored"),
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
        ({"status": status(in_service=None)}, "its release to be installed"),
        ({"released": "r-2"}, "its release to be installed"),
        ({"changes": True}, "its drift to be noticed and answered"),
        (
            {"campaigns": (campaign(), campaign(number=2, stage="waiting for first images"))},
            "its campaign 2: waiting for first images",
        ),
        (
            {"campaigns": (campaign(), campaign(number=2, stage="waiting for labels"))},
            "its campaign 2: waiting for labels",
        ),
    ],
)
def test_incomplete_run_says_what_is_still_to_come(changes: dict[str, Any], words: str) -> None:
    found, _ = outcome_of(site_look(**changes))

    assert not found.complete
    assert f"cortex: {words}" in found.waiting


def test_failed_campaign_is_not_a_complete_run_but_does_not_hold_it_up() -> None:
    failed = campaign(stage="failed", failure={"stage": "selecting", "reason": "no network"}, final=None)

    found, _ = outcome_of(site_look(campaigns=(failed,)))

    assert found.waiting == ("cortex: selecting: no network",)
    assert site_look(campaigns=(failed,)).settled


def test_result_that_contradicts_its_provenance_is_not_a_complete_run() -> None:
    found, _ = outcome_of(site_look(), (Audited(result="a.ome.tif", method="unet 1.0.0", fault="differs"),))

    assert found.waiting == ("cortex: a.ome.tif: differs",)


def test_page_shows_scores_pictures_and_reasons() -> None:
    found, closed = outcome_of(site_look())
    counts = SitePoint(acquired=8, reconstructed=4, waiting=4, returned=1)

    html = render_page(found, [closed], [Point(at_s=1.0, sites={"cortex": counts})])

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
    lanes = [moment.site for moment in timeline([campaign()], [federation()])]
    assert lanes == ["cortex", "cortex", "federation"]


def test_history_survives_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    whole = point(Look(2.0, (site_look(),))).model_dump_json()
    path.write_text(f"{whole}\n{whole[:9]}")

    (only,) = read_history(path)

    assert only.sites["cortex"] == SitePoint(acquired=8, reconstructed=8, waiting=0, returned=1)


def test_look_before_anything_started(tmp_path: Path) -> None:
    run = Run(scenario=default_scenario(0, 8), first_images=7, every_n=5)

    seen = look(run, Workspace(tmp_path), None, 0.0)

    assert not seen.done
    assert [site.waiting_for() for site in seen.sites] == [("its daemon to start",)] * 6


def test_rounds_and_cohorts_are_told_with_causes_and_verdicts() -> None:
    overview = Overview(
        campaigns=(campaign(),),
        instruments=(InstrumentSeen(id="cortex-1", site="cortex", release_id="r-1"),),
        cohorts=(cohort(),),
        federations=(federation(),),
    )
    shared = Shared(
        federation="federation-1",
        assigned=True,
        reasons=("not worse",),
        before=NETWORK,
        after=FEDERATED,
        scores=pair(),
    )

    found, closed = outcome_of(site_look(), overview=overview, shared=shared)

    told = found.model_dump(mode="json")
    assert found.complete, found.waiting
    assert told["rounds"] == [
        {
            "federation": "federation-1",
            "number": 1,
            "eligible": ["cortex", "cerebellum", "retina"],
            "contributed": ["cortex", "retina"],
            "refused": [{"site": "cerebellum", "cause": "expected finite numbers, found NaN"}],
            "seconds": 12.5,
            "train_seconds": 4.0,
            "bytes_up": 5_000_000,
            "bytes_down": 7_500_000,
        }
    ]
    (one,) = told["cohorts"]
    assert one["federation"]["state"] == "done"
    assert one["federation"]["network"] == {"id": "federated-denoise", "version": "1+abc"}
    assert one["sites"] == [
        {
            "site": "cortex",
            "took_part": True,
            "assigned": "federated",
            "reasons": ["not worse"],
            "difference_to_local": 0.5,
            "difference_ci95": [0.25, 0.75],
            "fields": 6,
        }
    ]
    assert [each["purpose"] for each in told["releases"]] == ["first", "federated"]
    assert told["releases"][1]["instruments"] == ["cortex-1"]
    assert told["gates"][-1]["federation"] == "federation-1"
    assert told["library"][0]["tuned_fields"] == 36
    html = render_page(found, [closed], [])
    for words in ("found NaN", "federated minus own", "+0.50 dB [+0.25, +0.75]", "federated-denoise"):
        assert words in html


def test_drift_is_held_against_when_the_instrument_really_changed() -> None:
    drift = {
        "feature": "noise",
        "onset_sequence": 10,
        "detected_sequence": 15,
        "before": 1.0,
        "after": 1.6,
        "statistic": 7.0,
        "threshold": 5.0,
        "at": BEGUN + timedelta(seconds=90),
        "campaign": "campaign-retina-1-2",
    }
    observed = [
        {"sequence": number, "purpose": "benchmark_images", "noise": 1.0, "brightness": 9.0}
        for number in (5, 10, 15)
    ]
    first = campaign(site="retina", instrument="retina-1", observed=observed)
    second = campaign(site="retina", instrument="retina-1", number=2, trigger="drift", drift=drift)
    improved = Improved(
        campaign=2,
        trigger="drift",
        before=NETWORK,
        after=FEDERATED,
        reasons=("better",),
        scores=pair(),
    )
    seen = site_look(name="retina", campaigns=(first, second), changes=True)

    found, closed = outcome_of(seen, improved=(improved,))

    told = found.model_dump(mode="json")
    assert told["drift"] == [
        {
            "site": "retina",
            "feature": "noise",
            "onset_sequence": 10,
            "detected_sequence": 15,
            "true_onset_sequence": 6,
            "before": 1.0,
            "after": 1.6,
            "statistic": 7.0,
            "threshold": 5.0,
            "at_s": 90.0,
        }
    ]
    (one,) = told["improvements"]
    assert (one["site"], one["trigger"], one["campaign"], one["replaced"]) == ("retina", "drift", 2, True)
    assert (one["before"]["id"], one["after"]["id"]) == ("unet", "federated-denoise")
    assert one["scores"]["difference_ci95"] == [0.25, 0.75]
    assert one["scores"]["frames"] == 6
    html = render_page(found, [closed], [])
    for words in ("noise went from 1 to 1.6", "it changed at frame 6", "replaced unet 1.0.0"):
        assert words in html


def test_segmentation_is_scored_by_overlap_and_told_with_its_objects() -> None:
    means = (("unet@1.0.0", 0.8), ("otsu", 0.6))
    found_scores = SiteScores(
        metric=Metric.DICE,
        frames=4,
        fields=4,
        final="unet@1.0.0",
        first="unet@1.0.0",
        best_classical="otsu",
        methods=tuple(Scored(key=key, means={Metric.DICE: value}) for key, value in means),
        difference=Comparison(difference=0.2, ci95=(0.1, 0.3), fields=4),
        difference_to_first=None,
    )
    figures = {
        "mean_count": 12.5,
        "mean_area_fraction": 0.2,
        "mean_diameter_nm": 40.0,
        "mean_diameter_px": None,
    }
    counted = SegmentationSummary.model_validate({"frames": 8, "classes": {"membrane": figures}})
    seen = site_look(
        name="tissue",
        task=Segment(classes=("background", "membrane")),
        status=status(segmentation=counted),
        campaigns=(campaign(site="tissue", instrument="tissue-1"),),
    )

    found, closed = outcome_of(seen, scores=found_scores)

    (site,) = found.model_dump(mode="json")["sites"]
    told = site["segmentation"]
    assert (told["dice"], told["dice_best_classical"], told["best_classical"]) == (0.8, 0.6, "otsu")
    assert (told["difference"], told["ci95"], told["frames"]) == (0.2, [0.1, 0.3], 4)
    assert told["objects"]["classes"]["membrane"]["mean_count"] == 12.5
    html = render_page(found, [closed], [])
    assert "+0.200 [+0.100, +0.300]" in html
    assert "mean area fraction" in html


def test_federation_that_failed_is_told_and_the_run_is_not_complete() -> None:
    failed = federation(stage="failed", failure={"stage": "rounds", "reason": "2 of 3 contributed"})
    overview = Overview(campaigns=(campaign(),), cohorts=(cohort(),), federations=(failed,))

    found, _ = outcome_of(site_look(), overview=overview)

    assert found.waiting == ("denoise-unet: rounds: 2 of 3 contributed",)


def test_run_waits_for_a_federation_that_is_due_or_under_way() -> None:
    due = Look(1.0, (site_look(),), Overview(campaigns=(), cohorts=(cohort(),)))
    under_way = federation(stage="rounds")
    going = Look(1.0, (site_look(),), Overview(campaigns=(), cohorts=(cohort(),), federations=(under_way,)))
    few = cohort(instruments=[{"site": "cortex", "id": "cortex-1", "federates": True}])

    assert due.waiting_for() == ("denoise-unet: its federation to begin",)
    assert going.waiting_for() == ("denoise-unet: its federation: rounds",)
    assert Look(1.0, (site_look(),), Overview(campaigns=(), cohorts=(few,))).done


def test_false_alarm_that_asks_for_frames_never_acquired_holds_nothing_up() -> None:
    asked = {"from_sequence": 6, "count": 7}
    alarm = campaign(number=2, stage="waiting for first images", requested=asked)

    assert site_look(campaigns=(campaign(), alarm)).waiting_for() == ()
    assert site_look(campaigns=(campaign(), alarm), changes=True).waiting_for() != ()
