import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from model_library.cards.card import NetworkCard
from model_library.errors import CardError, WeightsError
from model_library.inference.weights import CARD_FILE, WEIGHTS_FILE, load_network
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_bytes
from model_library.wire.tasks import Denoise
from model_library.zoo.store import save_network

CONFIG = UNetConfig(widths=(4, 6))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    card = NetworkCard(
        id="planted", version="1.0.0", purpose="test", task=Denoise(), config=CONFIG, facts=facts(CONFIG),
        weights_sha256="0" * 64,
    )  # fmt: skip
    save_network(tmp_path / "planted", build(CONFIG), card)
    return tmp_path / "planted"


def replant(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Write other weights and make the card promise them."""
    content = save(state)
    (folder / WEIGHTS_FILE).write_bytes(content)
    edit_card(folder, weights_sha256=sha256_bytes(content))


def edit_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps({**card, **changes}))


def test_what_was_saved_is_loaded(folder: Path):
    torch.manual_seed(0)
    expected = build(CONFIG).state_dict()
    found = load_network(folder).module.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("place", [0, 9, 200, -1])
def test_a_flipped_byte_is_refused(folder: Path, place: int):
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[place] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(WeightsError, match="expected SHA-256"):
        load_network(folder)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, bad: float):
    state = load_file(folder / WEIGHTS_FILE)
    state["head.bias"] = torch.full_like(state["head.bias"], bad)
    replant(folder, state)
    with pytest.raises(WeightsError, match=r"head\.bias"):
        load_network(folder)


def test_other_keys_are_refused(folder: Path):
    state = load_file(folder / WEIGHTS_FILE)
    state["tail.bias"] = state.pop("head.bias")
    replant(folder, state)
    with pytest.raises(WeightsError, match=r"1 missing \['head\.bias'\] and 1 unknown"):
        load_network(folder)


@pytest.mark.parametrize("other", [torch.zeros(2), torch.zeros(1, dtype=torch.float64)])
def test_other_shapes_and_precisions_are_refused(folder: Path, other: torch.Tensor):
    replant(folder, {**load_file(folder / WEIGHTS_FILE), "head.bias": other})
    with pytest.raises(WeightsError, match=r"expected head\.bias as float32 \(1,\)"):
        load_network(folder)


def test_bytes_that_are_no_safetensors_are_refused(folder: Path):
    (folder / WEIGHTS_FILE).write_bytes(b"not weights")
    edit_card(folder, weights_sha256=sha256_bytes(b"not weights"))
    with pytest.raises(WeightsError, match="expected safetensors"):
        load_network(folder)


def test_missing_files_are_refused(folder: Path):
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(WeightsError, match="fetch the network again"):
        load_network(folder)
    (folder / CARD_FILE).unlink()
    with pytest.raises(CardError, match="expected a model card"):
        load_network(folder)


def test_a_card_that_is_malformed_or_lies_about_its_facts_is_refused(folder: Path):
    edit_card(folder, facts={**facts(CONFIG).model_dump(), "parameters": 1})
    with pytest.raises(CardError, match="facts"):
        load_network(folder)
    edit_card(folder, surprise=1)
    with pytest.raises(CardError, match="surprise"):
        load_network(folder)
