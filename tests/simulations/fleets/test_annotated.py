"""Sites that learn to segment: labels are theirs, what they send is as of other sites, lies are flips."""

from pathlib import Path

import numpy as np
import pytest

from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.plan import FederationPlan
from model_library.cards.adaptation import AdaptationPlan
from model_library.specimens import SpecimenKind
from model_library.wire.delta_coding import most_bytes, unpack
from model_library.wire.tasks import Segment
from simulations.fleets.annotated import learn_in
from simulations.fleets.judging import chosen, score
from simulations.fleets.planned import StartNetwork, plan_of, start_network
from simulations.fleets.scenario import Comparison, FleetScenario, Frames, FreshNetwork, Instruments
from simulations.fleets.sites import SiteFiles, instruments_of, read_known, write_frames
from site_client.errors import AdaptationRefused
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE

SCENARIO = FleetScenario(
    name="labels",
    told="Labels.",
    task=Segment(classes=("background", "particle")),
    network=FreshNetwork(widths=(4, 8), normalisation="group"),
    frames=Frames(trained=8, held_out=4, side_px=64),
    federation={"rounds": 2, "steps": 40, "batch": 4, "patch_px": 32, "learning_rate": 1e-2},
    instruments=(Instruments(name="powder", specimen=SpecimenKind.PARTICLES, stained="particle", dose=100),),
    comparison=Comparison(against=()),
)


@pytest.fixture(scope="module")
def network() -> StartNetwork:
    return start_network(SCENARIO)


@pytest.fixture(scope="module")
def plan(network: StartNetwork) -> FederationPlan:
    return plan_of(SCENARIO, instruments_of(SCENARIO), network.config)


def site(folder: Path, *, spoil: bool) -> SiteFiles:
    return write_frames(instruments_of(SCENARIO)[0], SCENARIO, folder / "site", spoil=spoil)


def dice_after_round(network: StartNetwork, plan: FederationPlan, folder: Path, files: SiteFiles) -> float:
    learn(folder, plan.adaptation(1), network, files)
    content = (folder / UPDATE_FILE).read_bytes()
    update = unpack(content, most_bytes(1 << 10, (folder / WEIGHTS_FILE).stat().st_size))
    weights = {key: array + update[key] for key, array in network.weights.items()}
    return float(np.mean(score({files.id: weights}, plan, [files])[files.id]))


def learn(folder: Path, plan: AdaptationPlan, network: StartNetwork, files: SiteFiles) -> None:
    (folder / WEIGHTS_FILE).write_bytes(encode_weights(network.weights))
    report = learn_in(folder, plan, files, folder)
    assert (report.examples, report.steps) == (8, plan.steps)


def test_labels_teach_to_segment_and_flipped_ones_the_opposite(
    network: StartNetwork, plan: FederationPlan, tmp_path: Path
) -> None:
    for name in ("plain", "flipped"):
        (tmp_path / name).mkdir()
    before = float(np.mean(score({"powder": network.weights}, plan, [site(tmp_path, spoil=False)])["powder"]))
    plain = dice_after_round(network, plan, tmp_path / "plain", site(tmp_path / "plain", spoil=False))
    wrong = dice_after_round(network, plan, tmp_path / "flipped", site(tmp_path / "flipped", spoil=True))
    assert wrong < before < plain - 10


def test_flipped_labels_are_the_other_class_on_the_same_frames(tmp_path: Path) -> None:
    for name in ("plain", "flipped"):
        (tmp_path / name).mkdir()
    plain = site(tmp_path / "plain", spoil=False)
    wrong = site(tmp_path / "flipped", spoil=True)
    for one, other in zip(plain.trained, wrong.trained, strict=True):
        assert one.sha256 == other.sha256
        assert one.labels is not None
        assert other.labels is not None
        np.testing.assert_array_equal(np.load(one.labels), 1 - np.load(other.labels))
    for (_, truth), (_, same) in zip(read_known(plain.held_out), read_known(wrong.held_out), strict=True):
        np.testing.assert_array_equal(truth, same)


def test_what_such_a_site_cannot_do_is_refused(
    network: StartNetwork, plan: FederationPlan, tmp_path: Path
) -> None:
    asked = plan.adaptation(1).model_copy(update={"keeps": ("head.bias",)})
    with pytest.raises(AdaptationRefused, match="choose another algorithm"):
        learn(tmp_path, asked, network, site(tmp_path, spoil=False))


def test_the_gate_delivers_what_does_best_on_its_own_frames(
    network: StartNetwork, plan: FederationPlan, tmp_path: Path
) -> None:
    asked = SCENARIO.model_copy(update={"frames": Frames(trained=1, gate=2, held_out=2, side_px=64)})
    files = write_frames(instruments_of(asked)[0], asked, tmp_path / "site", spoil=False)
    blind = {key: np.zeros_like(array) for key, array in network.weights.items()}
    blind["head.bias"] = np.array([1, 0], np.float32)
    for order in (("blind", "seeing"), ("seeing", "blind")):
        networks = {"blind": {files.id: blind}, "seeing": {files.id: network.weights}}
        assert chosen({name: networks[name] for name in order}, plan, [files]) == {files.id: "seeing"}


def test_without_frames_for_the_gate_nothing_is_delivered(
    network: StartNetwork, plan: FederationPlan, tmp_path: Path
) -> None:
    files = site(tmp_path, spoil=False)
    assert chosen({"it": {files.id: network.weights}}, plan, [files]) == {}
