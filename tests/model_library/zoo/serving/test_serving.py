"""A network is prepared once, believed only while nothing changes, and serves whole files without torch."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from model_library.cards.card import NetworkCard
from model_library.errors import UnknownNetwork, UnsupportedImage, WeightsError
from model_library.images.contents import read_recording
from model_library.images.intensity import to_dtype
from model_library.images.readers import read_provenance
from model_library.inference.agreement import Agreement
from model_library.inference.engine import NetworkMethod, load_network, restore, segment
from model_library.inference.geometry import Geometry
from model_library.inference.prepared import (
    ANSWER_FILE,
    GRAPH_FILE,
    Machine,
    Measured,
    Prepared,
    place_of,
    read_prepared,
)
from model_library.inference.served import ServedNetwork
from model_library.inference.stacks import restore_rgb, restore_stack
from model_library.inference.uncertainty import spread_of
from model_library.inference.windows import Tiling
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, NetworkConfig, ResidualDenoiserConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from model_library.zoo.serving.opening import open_network
from model_library.zoo.serving.prepare import prepare
from model_library.zoo.serving.reconstruction import Wishes, reconstruct, reconstruct_file
from model_library.zoo.store import save_network

NETWORKS: dict[str, tuple[NetworkConfig, Task]] = {
    "grey": (UNetConfig(widths=(4, 6), normalisation="batch"), Denoise()),
    "slices": (UNetConfig(widths=(4, 6), in_channels=3, channels="slices"), Denoise()),
    "rgb": (ResidualDenoiserConfig(depth=3, width=4, in_channels=3, channels="rgb"), Denoise()),
    "double": (EDSRConfig(blocks=1, width=4, scale=2), SuperResolve(scale=2)),
    "classes": (
        UNetConfig(widths=(4, 6), out_channels=2, residual=False),
        Segment(classes=("background", "cell")),
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    for name, (config, task) in NETWORKS.items():
        torch.manual_seed(0)
        card = NetworkCard(
            id=name,
            version="1.0.0",
            purpose="test",
            task=task,
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
        )
        save_network(folder / name, build(config), card)
    return folder


def opened(home: Path, name: str) -> ServedNetwork:
    return open_network(
        home / name,
        home / "cache",
        threads=1,
        precision="float32",
        prepare=prepare,
    )


def scene(*shape: int) -> np.ndarray:
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    waves = 3000 + 2000 * np.sin(x / 9) * np.cos(y / 13)
    return np.random.default_rng(1).poisson(np.broadcast_to(waves, shape)).astype(np.uint16)


def made(home: Path, tmp_path: Path, name: str, pixels: np.ndarray, **tags: object) -> np.ndarray:
    tifffile.imwrite(tmp_path / "in.ome.tif", pixels, **tags)
    reconstruct(tmp_path / "in.ome.tif", tmp_path / "out.ome.tif", opened(home, name))
    return read_recording(tmp_path / "out.ome.tif").pixels


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether counts agree but for what two libraries round the other way."""
    return bool(np.abs(found.astype(np.int64) - to_dtype(expected, found.dtype)).max() <= 1)


def test_an_image_becomes_what_torch_makes_of_it(home: Path, tmp_path: Path):
    pixels = scene(150, 131)
    expected = restore(pixels[None].astype(np.float32), load_network(home / "grey"))[0]
    assert close(made(home, tmp_path, "grey", pixels), expected)


@pytest.mark.parametrize(("name", "tile_px"), [("grey", 64), ("double", 48)])
def test_of_the_eight_ways_there_is_a_mean_and_a_spread_in_counts(home: Path, tmp_path: Path, name, tile_px):
    pixels = scene(96, 96)
    tifffile.imwrite(tmp_path / "in.tif", pixels)
    network = replace(opened(home, name), tiling=Tiling(tile_px))
    found = {}
    for kind in ("mean", "spread"):
        reconstruct(tmp_path / "in.tif", tmp_path / f"{kind}.ome.tif", network.of_eight(kind))
        found[kind] = read_recording(tmp_path / f"{kind}.ome.tif").pixels
    mean, spread = spread_of(NetworkMethod(load_network(home / name)), pixels.astype(np.float32))
    assert close(found["mean"], mean)
    assert found["spread"].dtype == np.float32
    np.testing.assert_allclose(found["spread"], spread, atol=0.05)
    assert spread.max() > 1


def test_of_classes_there_is_no_spread(home: Path):
    with pytest.raises(UnsupportedImage, match="segments"):
        opened(home, "classes").of_eight("spread")


def test_a_stack_is_restored_with_its_neighbours_and_one_scaling(home: Path, tmp_path: Path):
    pixels = scene(4, 60, 70)
    expected = restore_stack(pixels.astype(np.float32), load_network(home / "slices"))
    assert close(made(home, tmp_path, "slices", pixels, metadata={"axes": "ZYX"}), expected)


def test_a_time_series_keeps_its_axes(home: Path, tmp_path: Path):
    pixels = scene(2, 3, 40, 50)
    found = made(home, tmp_path, "grey", pixels, metadata={"axes": "TZYX"})
    expected = restore_stack(pixels.reshape(6, 40, 50).astype(np.float32), load_network(home / "grey"))
    assert read_recording(tmp_path / "out.ome.tif").axes == "TZYX"
    assert close(found.reshape(6, 40, 50), expected)


def test_a_network_of_colour_restores_nothing_else(home: Path, tmp_path: Path):
    pixels = np.stack([scene(50, 60), scene(50, 60)[::-1], scene(50, 60)[:, ::-1]], axis=-1)
    expected = restore_rgb(pixels.astype(np.float32), load_network(home / "rgb"))
    assert close(made(home, tmp_path, "rgb", pixels, photometric="rgb"), expected)
    with pytest.raises(UnsupportedImage, match="choose another network"):
        made(home, tmp_path, "rgb", scene(50, 60))


def test_super_resolution_divides_the_pixel_size(home: Path, tmp_path: Path):
    tifffile.imwrite(tmp_path / "in.tif", scene(40, 50))
    found = reconstruct(
        tmp_path / "in.tif", tmp_path / "out.ome.tif", opened(home, "double"), Wishes(pixel_size_nm=4.0)
    )
    recording = read_recording(tmp_path / "out.ome.tif")
    assert recording.pixels.shape == (80, 100)
    assert found.pixel_size_nm == recording.pixel_size.side_nm == 2.0


def test_classes_are_numbers_of_8_bit(home: Path, tmp_path: Path):
    pixels = scene(50, 60)
    found = made(home, tmp_path, "classes", pixels)
    assert found.dtype == np.uint8
    expected = segment(pixels.astype(np.float32), load_network(home / "classes"))
    assert (found != expected).mean() < 0.001


def test_a_result_says_what_computed_it(home: Path, tmp_path: Path):
    made(home, tmp_path, "grey", scene(40, 50))
    told = read_provenance(tmp_path / "out.ome.tif")
    assert told["parameters"]["arithmetic"].startswith("float32 by ")
    assert told["method"]["id"] == "grey"
    assert len(told["source"]["sha256"]) == 64


def test_what_was_prepared_is_believed_until_a_byte_changes(home: Path, tmp_path: Path):
    opened(home, "grey")
    record, place = read_prepared(home / "grey", home / "cache", 1)
    assert read_prepared(home / "grey", home / "cache", 2) is None
    graph = (place / GRAPH_FILE).read_bytes()
    (place / GRAPH_FILE).write_bytes(graph[:-1] + bytes([graph[-1] ^ 1]))
    assert read_prepared(home / "grey", home / "cache", 1) is None
    asked: list[Path] = []

    def prepare_anew(folder: Path, cache: Path, threads: int) -> None:
        asked.append(folder)
        (place / GRAPH_FILE).write_bytes(graph)

    open_network(home / "grey", home / "cache", threads=1, prepare=prepare_anew)
    assert asked == [home / "grey"]
    assert place == place_of(home / "grey", home / "cache", 1)
    assert record.weights_sha256 == load_network(home / "grey").card.weights_sha256


def test_another_answer_than_torchs_is_refused(home: Path):
    def prepare_wrongly(folder: Path, cache: Path, threads: int) -> None:
        prepare(folder, cache, threads)
        answer = place_of(folder, cache, threads) / ANSWER_FILE
        np.save(answer, np.load(answer) + 0.5)

    prepare_wrongly(home / "rgb", home / "cache", 1)
    with pytest.raises(WeightsError, match="expected the answer of torch"):
        open_network(home / "rgb", home / "cache", threads=1, prepare=prepare_wrongly)
    assert opened(home, "rgb").card.id == "rgb"


def test_damaged_weights_are_refused(home: Path, tmp_path: Path):
    for name in ("card.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((home / "grey" / name).read_bytes())
    weights = bytearray((tmp_path / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(weights)
    with pytest.raises(WeightsError, match="expected weights of SHA-256"):
        open_network(tmp_path, tmp_path / "cache", threads=1)


def measured(
    backend: str, precision: str, rate: float, *, error: float = 0.0, psnr: float = 45.0
) -> Measured:
    agreement = Agreement(max_error_over_std=error, psnr_db=psnr)
    return Measured(backend=backend, precision=precision, mpix_per_s=rate, tile_px=512, agreement=agreement)


@pytest.mark.parametrize(
    ("candidates", "precision", "chosen"),
    [
        ([("torch", "float32", 1.0), ("openvino", "bfloat16", 4.0)], "auto", ("openvino", "bfloat16")),
        ([("torch", "float32", 1.0), ("openvino", "bfloat16", 4.0)], "float32", ("torch", "float32")),
        ([("torch", "bfloat16", 1.1), ("onnxruntime", "float32", 1.0)], "auto", ("onnxruntime", "float32")),
        ([("torch", "bfloat16", 1.5), ("onnxruntime", "float32", 1.0)], "auto", ("torch", "bfloat16")),
    ],
)
def test_the_fastest_serves_and_torch_only_where_it_is_worth_loading(candidates, precision, chosen):
    found = record(*(measured(*each) for each in candidates)).choice(precision)
    assert (found.backend, found.precision) == chosen


def test_what_does_not_agree_with_torch_never_serves():
    honest = measured("torch", "float32", 1.0)
    wrong = measured("openvino", "float32", 9.0, error=3e-5)
    coarse = measured("openvino", "bfloat16", 9.0, psnr=37.0)
    assert record(honest, wrong, coarse).choice() == honest
    with pytest.raises(WeightsError, match="openvino bfloat16; install the extras"):
        record(wrong, coarse).choice("auto")


def record(*found: Measured) -> Prepared:
    return Prepared(
        card_sha256="0" * 64,
        weights_sha256="0" * 64,
        graph_sha256="",
        machine=Machine(processor="p", cores=1, threads=1, versions={}),
        geometry=Geometry(in_channels=1, out_channels=1, scale=1, stride=1, radius=1, exact=True),
        flops_per_pixel=1,
        measured=found,
    )


def test_a_prepared_network_serves_in_a_process_without_torch(home: Path, tmp_path: Path):
    tifffile.imwrite(tmp_path / "in.tif", scene(40, 50))
    opened(home, "grey")
    script = (
        "import sys, pathlib, json\n"
        "from model_library.zoo.serving.opening import open_network\n"
        "from model_library.zoo.serving.reconstruction import reconstruct\n"
        "home, target = map(pathlib.Path, sys.argv[1:])\n"
        "network = open_network(home / 'grey', home / 'cache', threads=1, precision='auto')\n"
        "reconstruct(target / 'in.tif', target / 'out.ome.tif', network)\n"
        "print(json.dumps([network.backend.name, 'torch' in sys.modules]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(home), str(tmp_path)], capture_output=True, timeout=120
    )
    assert run.returncode == 0, run.stderr.decode()
    backend, loaded = json.loads(run.stdout)
    assert (backend == "torch") == loaded
    assert (tmp_path / "out.ome.tif").exists()


def test_an_unknown_network_is_refused_by_name(tmp_path: Path):
    with pytest.raises(UnknownNetwork, match="found 'nothing'"):
        reconstruct_file(tmp_path / "a.tif", tmp_path / "b.tif", "nothing")
