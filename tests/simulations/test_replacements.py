import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from model_library.cards.card import Lineage, NetworkCard, tuned_field
from model_library.images.writers import encode_acquisition
from model_library.inference.weights import CARD_FILE, read_card
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.shipped import library_folder
from simulations.acquisition import acquire
from simulations.default_fleet import default_scenario
from simulations.errors import SimulationError
from simulations.held_cases import HeldCases
from simulations.journal import Acquisition
from simulations.kept_networks import network_folder, returned_networks, tuned_fields
from simulations.observation import SiteLook
from simulations.overview import CampaignSeen, FederationSeen, Overview
from simulations.replacements import improvements_of, shared_with
from simulations.scenario import SiteScenario, Specimens
from simulations.workspace import Workspace

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
WEAK, STRONG = (ClassicalRef(id="gaussian", parameters={"sigma_px": sigma}) for sigma in (0.5, 2.0))
FRAMES, CHANGED_AT = 14, 7


@pytest.fixture(scope="module")
def site() -> SiteScenario:
    retina = default_scenario(seed=2, frames=10).sites[2]
    assert isinstance(retina.source, Specimens)
    return retina.model_copy(update={"source": retina.source.model_copy(update={"frame_px": 96})})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, site: SiteScenario) -> Workspace:
    """A workspace with every frame of a site, and a network that the coordinator made."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    for folder in (workspace.acquisitions(site.name), workspace.truth(site.name)):
        folder.mkdir(parents=True)
    for number in range(FRAMES):
        found = acquire(site, number, 2)
        assert found.truth is not None
        (workspace.acquisitions(site.name) / f"f{number}.tif").write_bytes(encode_acquisition(found.frame))
        (workspace.truth(site.name) / f"f{number}.tif").write_bytes(encode_acquisition(found.truth))
    shipped = read_card(library_folder() / "unet-denoise-shot")
    folder = workspace.coordinator / "networks" / shipped.weights_sha256
    shutil.copytree(library_folder() / "unet-denoise-shot", folder)
    lineage = Lineage(
        parent_id=shipped.id,
        parent_version=shipped.version,
        parent_weights_sha256=shipped.weights_sha256,
        campaign="federation-1",
        tuned_fields=(
            tuned_field("retina-1", "stage:field-0001"),
            tuned_field("cortex-1", "stage:field-0002"),
        ),
    )
    made: dict[str, Any] = {"id": "federated-denoise", "version": "1+abc", "lineage": lineage}
    (folder / CARD_FILE).write_text(NetworkCard.model_validate({**dict(shipped), **made}).model_dump_json())
    return workspace


@pytest.fixture(scope="module")
def network(workspace: Workspace) -> NetworkRef:
    (folder,) = (workspace.coordinator / "networks").iterdir()
    return NetworkRef(id="federated-denoise", version="1+abc", weights_sha256=folder.name)


def release(number: int, method: Any, at_s: float, purpose: str = "first") -> dict[str, Any]:
    return {
        "release_id": f"r-{number}",
        "purpose": purpose,
        "method": method.model_dump(),
        "instrument": "retina-1",
        "reasons": ["better"],
        "published_at": BEGUN + timedelta(seconds=at_s),
        "installed_at": None,
    }


def campaign(number: int, at_s: float, *releases: dict[str, Any], gated: int = 0) -> CampaignSeen:
    return CampaignSeen.model_validate(
        {
            "site": "retina",
            "instrument": "retina-1",
            "number": number,
            "trigger": "enrolment" if number == 1 else "drift",
            "stage": "monitoring",
            "failure": None,
            "events": [
                {"at": BEGUN + timedelta(seconds=at_s), "stage": "gathering images", "text": "begins"}
            ],
            "noise": None,
            "selection": None,
            "classical": None,
            "gates": [{"reasons": ["better than before"]}],
            "final": None,
            "releases": releases,
            "images": [
                {
                    "sequence": 1,
                    "purpose": "first_images",
                    "field": f"stage:field-{gated:04d}",
                    "split": "gate",
                    "sha256": "0" * 64,
                }
            ],
            "monitoring": [],
        }
    )


def held(workspace: Workspace, site: SiteScenario, *campaigns: CampaignSeen) -> HeldCases:
    acquired = tuple(
        Acquisition(
            number=number,
            name=f"f{number}.tif",
            field=f"field-{number:04d}",
            pixels=1,
            session=0,
            written_at=0.0,
            has_truth=True,
        )
        for number in range(FRAMES)
    )
    seen = SiteLook("retina", Denoise(), FRAMES, 5, acquired, None, campaigns, "r-1", changes=True)
    return HeldCases(workspace, site, seen, seed=0)


def test_held_out_are_fields_that_no_gate_and_no_ancestor_saw(
    workspace: Workspace, site: SiteScenario, network: NetworkRef
) -> None:
    cases = held(workspace, site, campaign(1, 0, gated=3))

    before, after = (cases.cases((WEAK, network), changed=told) for told in (False, True))

    # Field 3 was judged on, field 1 trained on; field 2 was trained on elsewhere only.
    assert [case.field for case in before] == ["field-0000", *(f"field-{n:04d}" for n in (2, 4, 5, 6))]
    assert [case.field for case in after] == [f"field-{number:04d}" for number in range(CHANGED_AT, FRAMES)]
    assert tuned_fields(workspace, "retina", "retina-1", network) == {"stage:field-0001"}
    assert tuned_fields(workspace, "retina", "retina-1", WEAK) == frozenset()


def test_improvement_is_held_against_what_was_in_service_before_the_drift(
    workspace: Workspace, site: SiteScenario
) -> None:
    first = campaign(1, 0, release(1, WEAK, 5))
    second = campaign(2, 60, release(2, STRONG, 80, "final"))
    overview = Overview(campaigns=(first, second))

    (found,) = improvements_of(overview, held(workspace, site, first, second))

    assert (found.before, found.after, found.replaced) == (WEAK, STRONG, True)
    assert (found.campaign, found.trigger, found.reasons) == (2, "drift", ("better than before",))
    assert found.scores is not None
    assert found.scores.frames == FRAMES - CHANGED_AT
    assert found.scores.difference is not None
    assert found.scores.difference.ci95[0] > 1


def test_improvement_that_released_nothing_replaced_nothing(workspace: Workspace, site: SiteScenario) -> None:
    first, second = campaign(1, 0, release(1, WEAK, 5)), campaign(2, 60)

    (found,) = improvements_of(Overview(campaigns=(first, second)), held(workspace, site, first, second))

    assert not found.replaced
    assert found.scores is not None
    assert found.scores.difference is not None
    assert found.scores.difference.difference == 0.0


def test_federated_network_is_held_against_the_sites_own_before_the_change(
    workspace: Workspace, site: SiteScenario, network: NetworkRef
) -> None:
    first = campaign(1, 0, release(1, WEAK, 5))
    federation = FederationSeen.model_validate(
        {
            "id": "federation-1",
            "cohort": "c",
            "stage": "done",
            "events": [{"at": BEGUN + timedelta(seconds=20), "stage": "rounds", "text": "begins"}],
            "network": network.model_dump(),
            "gates": [{"site": "retina", "reasons": ["not worse"]}],
            "releases": [release(2, network, 40, "federated")],
        }
    )
    overview = Overview(campaigns=(first,), federations=(federation,))

    found = shared_with(overview, held(workspace, site, first))
    (returned,) = returned_networks(workspace, overview)

    assert found is not None
    assert (found.before, found.after, found.assigned) == (WEAK, network, True)
    assert found.scores is not None
    assert found.scores.fields == CHANGED_AT - 2
    assert found.scores.difference is not None
    assert found.scores.difference.difference > 1
    assert (returned.id, returned.origin, returned.sites) == (
        "federated-denoise",
        "federation-1",
        ("retina",),
    )
    assert returned.tuned_fields == 2
    assert shared_with(Overview(campaigns=(first,)), held(workspace, site, first)) is None


def test_network_that_nobody_kept_is_named(workspace: Workspace) -> None:
    with pytest.raises(SimulationError, match=r"expected network gone 1 in one of .*keep the workspace"):
        network_folder(workspace, "retina", NetworkRef(id="gone", version="1", weights_sha256="2" * 64))
