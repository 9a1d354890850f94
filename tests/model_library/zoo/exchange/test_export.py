"""What leaves the library, as bioimage.io's own programs see it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from bioimageio.spec.utils import read_yaml

from model_library.cards.card import NetworkCard
from model_library.errors import ExchangeError
from model_library.images.intensity import Scaling
from model_library.inference.engine import LoadedNetwork
from model_library.networks.config import MaskRCNNConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Segment
from model_library.zoo.exchange.archive import read_archive
from model_library.zoo.exchange.description import describe
from model_library.zoo.exchange.export import export_package, geometry, package_files
from model_library.zoo.registry import Library

IDS = ("denoiser", "edsr-x3", "pssr-rgb", "unet-slices")
PackageOf = Callable[[str], Path]

# The command `bioimageio test` for several files in one process that can open no connection.
OFFLINE_TEST = """
import json, socket, sys
def refuse(*_):
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from bioimageio.core import test_description
found = {}
for path in sys.argv[1:]:
    summary = test_description(path)
    found[path] = [summary.status, [detail.name for detail in summary.details if detail.status != "passed"]]
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def verdicts(package_of: PackageOf, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    packages = {network_id: str(package_of(network_id)) for network_id in IDS}
    environment = {
        **os.environ,
        "BIOIMAGEIO_CACHE_PATH": str(tmp_path_factory.mktemp("cache")),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE_TEST, *packages.values()],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {network_id: found[path] for network_id, path in packages.items()}


@pytest.mark.parametrize("network_id", IDS)
def test_bioimage_io_tests_every_architecture_without_a_connection(verdicts: dict, network_id: str):
    status, failed = verdicts[network_id]
    assert (status, failed) == ("passed", [])


def description(package_of: PackageOf, network_id: str) -> Any:
    return read_yaml(read_archive(package_of(network_id))["bioimageio.yaml"].decode())


def test_sizes_halo_and_scale_are_those_of_the_network(package_of: PackageOf, library: Library):
    content = description(package_of, "edsr-x3")
    radius = library.card("edsr-x3").facts.receptive_field_px // 2
    (y_in, _), (y_out, _) = content["inputs"][0]["axes"][2:], content["outputs"][0]["axes"][2:]
    assert y_in["size"] == {"min": 2 * radius + 2, "step": 1}
    assert y_out["scale"] == pytest.approx(1 / 3)
    assert y_out["halo"] == 3 * radius


def test_a_u_net_takes_multiples_of_its_stride(package_of: PackageOf):
    size = description(package_of, "unet-slices")["inputs"][0]["axes"][2]["size"]
    assert size["step"] == 2
    assert size["min"] % 2 == 0


def test_normalisation_is_that_of_the_engine(package_of: PackageOf):
    (step,) = description(package_of, "denoiser")["inputs"][0]["preprocessing"]
    assert step["id"] == "scale_range"
    image = np.random.default_rng(1).gamma(2.0, 40.0, (50, 60)).astype(np.float32)
    low, high = np.percentile(image, [step["kwargs"]["min_percentile"], step["kwargs"]["max_percentile"]])
    theirs = (image - low) / (high - low + step["kwargs"]["eps"])
    np.testing.assert_allclose(theirs, Scaling.of(image).apply(image), atol=1e-5)


def test_a_version_that_was_tuned_twice_is_one_for_packaging_tools(library: Library):
    card = library.card("denoiser").model_copy(update={"version": "1.2.0+c7+c8"})
    digests = dict.fromkeys(("README.md", "weights.onnx", "test_input.npy", "test_output.npy"), "0" * 64)
    assert describe(card, geometry(card.config), digests, 20)["version"] == "1.2.0+c7.c8"


def test_channels_have_names(package_of: PackageOf):
    def names(network_id: str) -> tuple[list[str], list[str]]:
        content = description(package_of, network_id)
        return tuple(content[side][0]["axes"][1]["channel_names"] for side in ("inputs", "outputs"))

    assert names("denoiser") == (["intensity"], ["restored"])
    assert names("pssr-rgb") == (["red", "green", "blue"], ["red", "green", "blue"])
    assert names("unet-slices") == (["slice -1", "slice +0", "slice +1"], ["background", "membrane"])


def test_the_card_travels(package_of: PackageOf, library: Library):
    files, card = read_archive(package_of("denoiser")), library.card("denoiser")
    assert type(card).model_validate_json(files["card.json"]) == card
    weights = (library.path("denoiser") / "weights.safetensors").read_bytes()
    assert files["weights.safetensors"] == weights
    readme = files["README.md"].decode()
    for told in (card.purpose, "Good for nothing.", "planted: 3 images, terms MIT", "2 to 8 nm", "`measure`"):
        assert told in readme
    content = description(package_of, "denoiser")
    assert content["license"] == "Apache-2.0"
    assert content["config"]["bioimageio"]["modality"] == "sem"


def test_the_graph_carries_the_keys_of_the_state_dict_and_no_path_of_this_machine(
    package_of: PackageOf, library: Library
):
    content = read_archive(package_of("denoiser"))["weights.onnx"]
    graph, state = onnx.load_from_string(content).graph, library.load("denoiser").module.state_dict()
    # Equal tensors, such as biases that are zero, are kept once.
    for tensor in graph.initializer:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), state[tensor.name])
    assert str(Path.cwd()).encode() not in content
    assert content.find(b"site-packages") == -1


def test_the_same_network_gives_the_same_bytes_and_is_left_as_it_was(package_of: PackageOf, library: Library):
    loaded = library.load("edsr-x3")
    strides = [parameter.stride() for parameter in loaded.module.parameters()]
    assert package_files(loaded) == read_archive(package_of("edsr-x3"))
    assert [parameter.stride() for parameter in loaded.module.parameters()] == strides


def test_a_card_that_bioimage_io_refuses_leaves_an_earlier_package_alone(library: Library, tmp_path: Path):
    loaded = library.load("edsr-x3")
    wrong = LoadedNetwork(loaded.card.model_copy(update={"licence": "do as you like"}), loaded.module)
    path = tmp_path / "package.zip"
    path.write_bytes(b"earlier")
    with pytest.raises(ExchangeError, match=r"(?s)license.*correct the card"):
        export_package(wrong, path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("package.zip", b"earlier")]


def test_instances_have_no_description(tmp_path: Path):
    config = MaskRCNNConfig(width=8)
    card = NetworkCard(
        id="finder", version="1.0.0", purpose="test", task=Segment(classes=("background", "particle")),
        config=config, facts=facts(config), weights_sha256="0" * 64,
    )  # fmt: skip
    with pytest.raises(ExchangeError, match="no description of instances"):
        export_package(LoadedNetwork(card, torch.nn.Identity()), tmp_path / "package.zip")


def test_a_folder_that_is_not_there_is_told(library: Library, tmp_path: Path):
    with pytest.raises(ExchangeError, match="correct --out"):
        export_package(library.load("edsr-x3"), tmp_path / "missing" / "package.zip")


def test_a_graph_that_computes_something_else_is_refused(library: Library, monkeypatch: pytest.MonkeyPatch):
    loaded = library.load("edsr-x3")
    forward = type(loaded.module).forward

    def wrong_while_exported(self: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
        found = forward(self, image)
        return found + 1 if torch.compiler.is_exporting() else found

    monkeypatch.setattr(type(loaded.module), "forward", wrong_while_exported)
    with pytest.raises(ExchangeError, match="from ONNX Runtime as from torch"):
        package_files(loaded)
