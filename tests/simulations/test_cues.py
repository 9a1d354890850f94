from typing import Any

import pytest

from model_library.wire.tasks import Denoise, Segment, Task
from simulations.cues import annotations_due, buttons_due, first_image_names
from simulations.observation import Look, SiteLook
from simulations.overview import CampaignSeen, CohortSeen, FederationSeen, Overview

LABELS = Segment(classes=("background", "membrane"))
COHORT = CohortSeen.model_validate(
    {
        "id": "c",
        "task": {"kind": "denoise"},
        "architecture": "unet",
        "instruments": [
            {"site": site, "id": f"{site}-1", "federates": True}
            for site in ("cortex", "cerebellum", "retina")
        ],
    }
)


class InUse:
    """As much of a site's status as tells which release it uses."""

    class in_service:  # noqa: N801
        release_id = "r-1"


def site(name: str, *, stage: str = "monitoring", task: Task | None = None, **changes: Any) -> SiteLook:
    campaign = CampaignSeen.model_validate(
        {
            "site": name,
            "instrument": f"{name}-1",
            "stage": stage,
            "failure": None,
            "events": [],
            "noise": None,
            "selection": None,
            "classical": None,
            "gates": [],
            "final": None,
            "releases": [],
            "images": changes.pop("images", []),
            "monitoring": [],
        }
    )
    status: Any = InUse()
    told: dict[str, Any] = {
        "name": name,
        "task": task or Denoise(),
        "planned": 8,
        "every_n": 5,
        "acquired": (),
        "status": status,
        "campaigns": (campaign,),
        "released": "r-1",
        "changes": name == "retina",
    }
    return SiteLook(**{**told, **changes})


def seen(*sites: SiteLook, federations: tuple[FederationSeen, ...] = ()) -> Look:
    return Look(0.0, sites, Overview(campaigns=(), cohorts=(COHORT,), federations=federations))


def federation(stage: str) -> FederationSeen:
    members = [{"site": each.site} for each in COHORT.instruments]
    return FederationSeen(id="f", cohort="other", stage=stage, start={"members": members})


def test_last_session_begins_when_the_release_is_in_use() -> None:
    ready, busy, lagging = site("cortex"), site("alloy", stage="fine-tuning"), site("steel", released="r-2")

    assert buttons_due(seen(ready, busy, lagging), share=0.1) == {"cortex"}
    assert buttons_due(seen(ready, busy, lagging), share=0.8) == {"cortex", "alloy", "steel"}


def test_instrument_changes_only_after_the_federation_of_its_cohort() -> None:
    sites = (site("cortex"), site("cerebellum"), site("retina"))

    assert "retina" not in buttons_due(seen(*sites), share=0.1)
    assert "retina" not in buttons_due(seen(*sites, federations=(federation("rounds"),)), share=0.1)
    assert "retina" in buttons_due(seen(*sites, federations=(federation("done"),)), share=0.1)
    assert "retina" in buttons_due(seen(*sites, federations=(federation("failed"),)), share=0.1)
    assert "retina" in buttons_due(seen(*sites), share=0.6)


def test_instrument_waits_for_the_campaigns_of_those_like_it() -> None:
    over = (federation("done"),)
    tuning = site("cerebellum", stage="fine-tuning")

    assert "retina" not in buttons_due(seen(site("cortex"), tuning, site("retina"), federations=over), 0.1)
    # Another task is no business of the cohort.
    other = site("tissue", stage="fine-tuning", task=LABELS)
    assert "retina" in buttons_due(seen(other, site("retina"), federations=over), 0.1)


def test_labels_are_not_drawn_before_all_first_images_are_there() -> None:
    tissue = site("tissue", stage="waiting for first images", task=LABELS, images=images(2))
    other = site("cortex", stage="waiting for first images", images=images(3))

    assert annotations_due(seen(tissue, other), first_images=3) == ()


@pytest.mark.parametrize("stage", ["waiting for first images", "waiting for labels"])
def test_labels_are_drawn_on_exactly_the_first_images(stage: str) -> None:
    tissue = site("tissue", stage=stage, task=LABELS, images=images(3))

    (only,) = annotations_due(seen(tissue, site("cortex")), first_images=3)

    assert first_image_names(only) == ("f0.tif", "f1.tif", "f2.tif")


def images(count: int) -> list[dict[str, Any]]:
    purposes = {**dict.fromkeys(range(count), "first_images"), 99: "benchmark_images"}
    return [
        {
            "sequence": number + 1,
            "purpose": purpose,
            "field": f"stage:{number}",
            "split": "tuning",
            "sha256": "0" * 64,
            "file_name": f"f{number}.tif",
        }
        for number, purpose in reversed(purposes.items())
    ]
