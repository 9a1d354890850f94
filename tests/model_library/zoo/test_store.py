from pathlib import Path

import pytest
import torch

from model_library.cards.card import CardScore, NetworkCard, TrainingData
from model_library.errors import CardError, UnknownNetwork, WeightsError
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, NetworkConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_file
from model_library.wire.tasks import Denoise, SuperResolve, Task
from model_library.zoo.derive import derived_card
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network, save_scores

SCORE = CardScore(
    suite="specimens",
    metric="psnr",
    value=30.0,
    ci95=(29.0, 31.0),
    fields=4,
    command="synoptic benchmark card x",
)


def plant(folder: Path, network_id: str, config: NetworkConfig, task: Task) -> NetworkCard:
    torch.manual_seed(0)
    card = NetworkCard(
        id=network_id, version="1.0.0", purpose="test", task=task, config=config, facts=facts(config),
        weights_sha256="0" * 64,
    )  # fmt: skip
    return save_network(folder / network_id, build(config), card)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    plant(tmp_path, "b-net", UNetConfig(widths=(4, 6)), Denoise())
    plant(tmp_path, "a-net", EDSRConfig(blocks=1, width=4, scale=2), SuperResolve(scale=2))
    return Library(tmp_path)


def test_a_library_lists_its_networks_by_id_and_by_task(library: Library):
    assert library.ids() == ("a-net", "b-net")
    assert [card.id for card in library.for_task(Denoise())] == ["b-net"]
    assert [card.id for card in library.for_task(SuperResolve(scale=2))] == ["a-net"]
    assert library.for_task(SuperResolve(scale=4)) == ()


def test_the_card_holds_the_digest_of_the_weights_as_written(library: Library):
    path = library.path("b-net") / "weights.safetensors"
    assert library.verify("b-net").weights_sha256 == sha256_file(path)
    assert not list(library.path("b-net").glob("*.part"))


def test_an_unknown_network_is_refused_by_name(library: Library):
    for ask in (library.card, library.load, library.verify):
        with pytest.raises(UnknownNetwork, match="'c-net'"):
            ask("c-net")
    with pytest.raises(UnknownNetwork):
        library.card("../b-net")


def test_scores_are_written_without_touching_the_weights(library: Library):
    before = library.card("b-net").weights_sha256
    save_scores(library.path("b-net"), (SCORE,))
    after = library.verify("b-net")
    assert (after.scores, after.weights_sha256) == ((SCORE,), before)


def test_a_gain_that_may_be_none_is_among_the_limits(library: Library):
    loses = SCORE.model_copy(
        update={"metric": "psnr_gain", "value": 0.1, "ci95": (-0.2, 0.4), "best_classical": "tv"}
    )
    wins = loses.model_copy(update={"ci95": (0.05, 0.4)})
    card = save_scores(library.path("b-net"), (SCORE, loses))
    (limit,) = card.limits
    assert "tv: psnr_gain +0.100 [-0.200, +0.400]" in limit
    assert save_scores(library.path("b-net"), (SCORE, wins)).limits == ()


def test_scores_of_other_weights_are_refused(library: Library):
    path = library.path("b-net") / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CardError, match="other weights"):
        save_scores(library.path("b-net"), (SCORE,))


def test_weights_that_are_no_numbers_are_never_written(library: Library, tmp_path: Path):
    loaded = library.load("b-net")
    with torch.no_grad():
        next(loaded.module.parameters()).fill_(float("nan"))
    with pytest.raises(WeightsError, match="NaN"):
        save_network(tmp_path / "new", loaded.module, loaded.card)
    assert not (tmp_path / "new").exists()


def test_a_derived_card_names_its_parent_and_drops_its_scores(library: Library):
    save_scores(library.path("b-net"), (SCORE,))
    parent = library.card("b-net")
    seen = TrainingData(source="instrument", terms="site", images=3, digests=("1" * 64,), simulated=False)
    child = derived_card(
        parent,
        version="1.0.0+c7",
        weights_sha256="2" * 64,
        campaign="c7",
        tuned_fields=("f2", "f1"),
        training_data=(seen,),
    )
    assert (child.id, child.version, child.scores) == (parent.id, "1.0.0+c7", ())
    assert child.training_data[-1] == seen
    assert child.lineage is not None
    assert child.lineage.parent_weights_sha256 == parent.weights_sha256
    assert child.lineage.tuned_fields == ("f1", "f2")
    grandchild = derived_card(
        child,
        version="1.0.0+c7+c8",
        weights_sha256="3" * 64,
        campaign="c8",
        tuned_fields=("f3", "f1"),
        training_data=(),
    )
    assert grandchild.lineage is not None
    assert grandchild.lineage.tuned_fields == ("f1", "f2", "f3")
