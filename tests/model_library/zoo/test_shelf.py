"""Networks into a library folder and out of it."""

import shutil
from pathlib import Path

import pytest
import torch

from model_library.cards.card import NetworkCard
from model_library.errors import CardError, LibraryError, UnknownNetwork, WeightsError
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise
from model_library.zoo import shelf
from model_library.zoo.registry import Library
from model_library.zoo.shelf import add, put, remove
from model_library.zoo.shipped import library_folder
from model_library.zoo.store import save_network


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 6))
    card = NetworkCard(
        id="traveller", version="1.0.0", purpose="test", task=Denoise(), config=config, facts=facts(config),
        weights_sha256="0" * 64,
    )  # fmt: skip
    save_network(tmp_path / "elsewhere" / "some-folder", build(config), card)
    return tmp_path / "elsewhere" / "some-folder"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "mine")


def names(library: Library) -> list[str]:
    return sorted(path.name for path in library.folder.iterdir())


@pytest.mark.parametrize("what", ["", "card.json"])
def test_a_network_is_added_from_its_folder_or_its_card(source: Path, library: Library, what: str):
    card = add(library, source / what)
    assert names(library) == ["traveller"]
    assert library.verify("traveller") == card
    for file in ("card.json", "weights.safetensors"):
        assert (library.path("traveller") / file).read_bytes() == (source / file).read_bytes()


def test_an_id_is_taken_once(source: Path, library: Library):
    add(library, source)
    with pytest.raises(LibraryError, match="remove it first"):
        add(library, source)
    remove(library, "traveller")
    assert names(library) == []
    add(library, source)
    assert library.ids() == ("traveller",)


def test_weights_that_contradict_their_card_leave_no_trace(source: Path, library: Library):
    weights = source / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="expected SHA-256"):
        add(library, source)
    assert names(library) == []


def test_a_card_with_invented_facts_is_refused(source: Path, library: Library):
    card = source / "card.json"
    card.write_text(card.read_text().replace('"exact_tiling": true', '"exact_tiling": false'))
    with pytest.raises(CardError, match="facts of its architecture"):
        add(library, source)
    with pytest.raises(CardError, match="facts of its architecture"):
        put(
            library,
            NetworkCard.model_validate_json(card.read_bytes()),
            (source / "weights.safetensors").read_bytes(),
        )
    assert names(library) == []


def test_missing_files_are_told(source: Path, library: Library, tmp_path: Path):
    (source / "weights.safetensors").unlink()
    with pytest.raises(WeightsError, match="expected the weights of traveller"):
        add(library, source)
    with pytest.raises(CardError, match="expected a model card"):
        add(library, tmp_path / "nowhere")


def test_a_crash_before_the_name_is_given_leaves_the_library_as_it_was(
    source: Path, library: Library, monkeypatch: pytest.MonkeyPatch
):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf, "load_network", die)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        add(library, source)
    assert library.ids() == ()
    assert all(name.endswith(".part") for name in names(library))


def test_what_is_not_there_cannot_be_removed(library: Library):
    with pytest.raises(UnknownNetwork, match="'traveller'"):
        remove(library, "traveller")


def test_the_library_that_ships_stays_as_it_is(source: Path, tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(library_folder())
    for shipped in (Library(), Library(link)):
        before = shipped.ids()
        with pytest.raises(LibraryError, match="--folder"):
            add(shipped, source)
        with pytest.raises(LibraryError, match="--folder"):
            remove(shipped, before[0])
        assert shipped.ids() == before


def test_a_library_that_cannot_be_written_to_is_told(source: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LibraryError, match="expected a folder to write to"):
        add(Library(tmp_path / "file"), source)
