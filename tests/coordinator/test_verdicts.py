"""Sittings of the gate over several campaigns and federations, and what follows from them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.cases import Case, repeat_cases
from benchmark.selection.narrowing import InstrumentFacts, narrow
from benchmark.verdict import Role
from coordinator import publishing, verdicts
from coordinator.findings import latest_campaign
from coordinator.methods import networks_for
from coordinator.records import Finding, Stage
from coordinator.store.values import Campaign, Instrument, Opening, ReleasePurpose, Trigger
from coordinator.workplace import Workplace
from model_library.cards.card import NetworkCard, TrainingData, tuned_field
from model_library.degradation.noise import NoiseModel
from model_library.inference.weights import load_network
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.derive import derived_card
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network

from .places import NOW, enrolled, workplace

SMOOTH = ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})
FIELDS = ("a", "b", "c", "d", "e")


@pytest.fixture
def place(tmp_path: Path, library: Path) -> Iterator[Workplace]:
    with workplace(tmp_path / "data", library=library) as place:
        yield place


@pytest.fixture
def instrument(place: Workplace) -> Instrument:
    return enrolled(place)


def ref_of(card: NetworkCard) -> NetworkRef:
    return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)


def tuned(
    place: Workplace, parent: Path, fields: tuple[str, ...], campaign: str = "campaign-1"
) -> NetworkCard:
    """Make a network version here; its weights differ a little from its parent's."""
    network = load_network(parent)
    with __import__("torch").no_grad():
        for weight in network.module.parameters():
            weight.requires_grad_(False).add_(0.001)
    data = TrainingData(source="scope", terms="site", images=1, simulated=False)
    card = derived_card(
        network.card,
        version=f"{network.card.version}+new",
        weights_sha256="0" * 64,
        campaign=campaign,
        tuned_fields=fields,
        training_data=(data,),
    )
    kept = save_network(place.settings.networks / "new", network.module, card)
    (place.settings.networks / "new").rename(place.settings.networks / kept.weights_sha256)
    return kept


@pytest.fixture
def cases() -> tuple[Case, ...]:
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(50, 150, 64), np.linspace(0, 60, 64))
    images = [(field, rng.poisson(smooth).astype(np.float32)) for field in FIELDS]
    return repeat_cases(images, NoiseModel(gain=1.0, read_variance=0.0), rng, crop_px=64)


def campaign(place: Workplace, instrument: Instrument, number: int = 1) -> Campaign:
    trigger = Trigger.ENROLMENT if number == 1 else Trigger.DRIFT
    place.campaigns.open(Opening(instrument.id, number, trigger), Stage.WAITING, NOW)
    return latest_campaign(place, instrument.id)


def test_a_sitting_tells_verdict_methods_and_scores(place, instrument, cases, library):
    network = ref_of(Library(library).card("tiny-4"))
    second = ref_of(Library(library).card("tiny-6"))
    rivals = {Role.SECOND: (second, network), Role.CLASSICAL: (SMOOTH,)}
    record = verdicts.sit(place, instrument, network, rivals, cases, verdicts.Look(1))
    assert record["assigned"] == SMOOTH.model_dump(mode="json")
    assert record["rivals"] == {"in service": [], "second network": ["tiny-6@1"], "classical": ["gaussian"]}
    assert set(record["means"]) == {"tiny-4@1", "tiny-6@1", "gaussian"}
    assert record["verdict"]["look"] == 1


def test_a_candidate_that_invents_structure_is_refused_and_told_by_which_check(
    place, instrument, cases, library
):
    network = load_network(library / "tiny-4")
    with __import__("torch").no_grad():
        for weight in network.module.parameters():
            weight.requires_grad_(False).mul_(6.0)
    card = derived_card(
        network.card,
        version="1+wild",
        weights_sha256="0" * 64,
        campaign="campaign-1",
        tuned_fields=(),
        training_data=(),
    )
    kept = save_network(place.settings.networks / "new", network.module, card)
    (place.settings.networks / "new").rename(place.settings.networks / kept.weights_sha256)
    record = verdicts.sit(
        place, instrument, ref_of(kept), {Role.CLASSICAL: (SMOOTH,)}, cases, verdicts.Look(1)
    )
    assert record["verdict"]["passed"] is False
    assert record["verdict"]["reasons"][0].startswith("tiny-4@1+wild cannot be trusted, ")
    assert False in {finding["holds"] for finding in record["verdict"]["trust"]}


def test_an_algorithm_tuned_anew_is_judged_beside_the_same_one_in_service(place, instrument, cases, library):
    network = ref_of(Library(library).card("tiny-4"))
    old = SMOOTH.model_copy(update={"parameters": {"sigma_px": 0.5}})
    rivals = {Role.IN_SERVICE: (old,), Role.CLASSICAL: (SMOOTH,)}
    record = verdicts.sit(place, instrument, network, rivals, cases, verdicts.Look(3))
    assert record["rivals"]["in service"] == ["gaussian as in service"]
    assert record["assigned"] == SMOOTH.model_dump(mode="json")
    same = verdicts.sit(
        place, instrument, network, {**rivals, Role.IN_SERVICE: (SMOOTH,)}, cases, verdicts.Look(3)
    )
    assert same["rivals"] == {"in service": ["gaussian"], "second network": [], "classical": []}
    assert same["assigned"] == SMOOTH.model_dump(mode="json")


def test_looks_count_all_sittings_of_an_instrument_ever_and_no_other_s(place, instrument):
    other = enrolled(place, "other")
    first, second = campaign(place, instrument), campaign(place, instrument, 2)
    assert verdicts.looks_before(place, instrument.id) == 0
    for gate in (Finding.FIRST_GATE, Finding.FINAL_GATE):
        place.campaigns.find_out(first.id, gate, {})
    place.campaigns.find_out(second.id, Finding.FIRST_GATE, {})
    place.campaigns.find_out(campaign(place, other).id, Finding.FIRST_GATE, {})
    place.campaigns.find_out("federation-0001", verdicts.FEDERATED_GATES, {instrument.id: {}})
    assert verdicts.looks_before(place, instrument.id) == 4
    assert verdicts.looks_before(place, other.id) == 1
    again = (second.id, Finding.FIRST_GATE.value)
    assert verdicts.looks_before(place, instrument.id, again) == 3


def gate(place: Workplace, of: Campaign, assigned: ClassicalRef | NetworkRef) -> Campaign:
    in_service = verdicts.method_in_service(place, of.instrument_id)
    told = {
        "verdict": {"reasons": ["best"]},
        "assigned": assigned.model_dump(mode="json"),
        "in_service": None if in_service is None else in_service.model_dump(mode="json"),
    }
    place.campaigns.find_out(of.id, Finding.FIRST_GATE, told)
    return latest_campaign(place, of.instrument_id)


def test_nothing_is_released_where_the_method_in_service_stays(place, instrument):
    publishing.release_first(place, gate(place, campaign(place, instrument), SMOOTH))
    improvement = gate(place, campaign(place, instrument, 2), SMOOTH)
    assert "stays in service" in publishing.release_first(place, improvement)
    [release] = place.releases.of(instrument.id)
    assert place.campaigns.finding(improvement.id, Finding.FIRST) == {
        "release_id": release.id,
        "method": SMOOTH.model_dump(mode="json"),
        "folder": None,
        "stays": True,
    }


def test_a_release_step_repeated_after_a_crash_tells_the_same(place, instrument):
    publishing.release_first(place, gate(place, campaign(place, instrument), SMOOTH))
    better = SMOOTH.model_copy(update={"parameters": {"sigma_px": 2.0}})
    improvement = gate(place, campaign(place, instrument, 2), better)
    told = publishing.release_first(place, improvement)
    assert publishing.release_first(place, improvement) == told
    assert len(place.releases.of(instrument.id)) == 2
    assert place.campaigns.finding(improvement.id, Finding.FIRST)["stays"] is False


def test_a_released_version_returns_to_the_library_with_its_lineage(place, instrument, library):
    own = tuned_field(instrument.id, "stage:A1")
    card = tuned(place, library / "tiny-4", (own,))
    assert [each.id for each in networks_for(place, Denoise())] == ["tiny-4", "tiny-6", "tiny-8"]
    publishing.release_assigned(
        place, instrument, ref_of(card), ["better"], "campaign-1", ReleasePurpose.FINAL
    )
    *shipped, returned = networks_for(place, Denoise())
    assert len(shipped) == 3
    assert (returned.version, returned.lineage.parent_id) == ("1+new", "tiny-4")
    grandchild = derived_card(
        returned,
        version="1+new+newer",
        weights_sha256="1" * 64,
        campaign="campaign-2",
        tuned_fields=(tuned_field("other", "stage:A1"),),
        training_data=(),
    )
    assert grandchild.lineage.tuned_fields == (tuned_field("other", "stage:A1"), own)


def test_where_a_classical_algorithm_wins_the_release_names_it_and_carries_no_weights(place, instrument):
    found = publishing.release_assigned(
        place, instrument, SMOOTH, ["better"], "campaign-1", ReleasePurpose.FIRST
    )
    manifest = found.manifest
    assert (manifest.method, manifest.card, manifest.weights_target) == (SMOOTH, None, None)
    published = [path.name for path in place.settings.releases.rglob("*") if path.is_file()]
    assert any(name.endswith(f"{instrument.id}.json") for name in published)
    assert not any(name.endswith(".safetensors") for name in published)


def test_a_library_network_that_is_released_is_no_returned_one(place, instrument, library):
    ref = ref_of(Library(library).card("tiny-4"))
    publishing.release_assigned(place, instrument, ref, ["better"], "campaign-1", ReleasePurpose.FIRST)
    assert place.returned.all() == ()


def test_a_network_is_not_ranked_on_fields_that_it_was_tuned_on(place, instrument, library):
    own = tuned_field(instrument.id, "stage:A1")
    card = tuned(place, library / "tiny-4", (own,))
    clean = Library(library).card("tiny-6")
    facts = InstrumentFacts(fields=frozenset({own, tuned_field(instrument.id, "stage:A2")}))
    narrowed = narrow((clean, card), facts)
    assert list(narrowed.eligible) == [clean]
    assert narrowed.left_out == {"tiny-4@1+new": f"was tuned on 1 of the 2 fields to rank on, such as {own}"}
    elsewhere = InstrumentFacts(fields=frozenset({tuned_field("other", "stage:A1")}))
    assert narrow((clean, card), elsewhere).left_out == {}
