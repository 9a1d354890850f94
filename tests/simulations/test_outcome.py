from pathlib import Path
from typing import Any

import pytest

from benchmark.compare import Comparison
from benchmark.metrics import Metric
from model_library.wire.methods import ClassicalRef
from model_library.wire.orders import FrameCounts
from model_library.wire.tasks import Segment
from simulations.audit import Audited
from simulations.default_fleet import default_scenario
from simulations.observation import Look, Point, SitePoint, look, point, read_history
from simulations.outcome import timeline
from simulations.page import render_page, summary_row
from simulations.truth_scores import Scored, SiteScores
from simulations.workspace import Run, Workspace
from site_client.journal import InService
from site_client.objects import SegmentationSummary

from .seen import acquired, campaign, federation, outcome_of, site_look, status


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
