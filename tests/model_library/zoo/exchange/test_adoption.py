"""Packages that others have made: taken in as data, refused where they cannot be run."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bioimageio.spec.utils import read_yaml, write_yaml
from scipy.special import expit

from model_library.errors import ExchangeError
from model_library.images.intensity import Scaling
from model_library.inference.engine import NetworkMethod, segment
from model_library.networks.graph_config import GraphConfig
from model_library.signing.digests import sha256_bytes
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from model_library.zoo.exchange.archive import archive_bytes
from model_library.zoo.exchange.intake import import_package
from model_library.zoo.exchange.torchscript import refuse_unsafe, torchscript_as_onnx
from model_library.zoo.registry import Library

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
IMAGE = np.random.default_rng(9).gamma(3.0, 20.0, (40, 48)).astype(np.float32)


@pytest.fixture
def own(tmp_path: Path) -> Library:
    return Library(tmp_path / "own")


class Small(torch.nn.Module):
    """What a colleague might hand over."""

    def __init__(self, outputs: int = 1, last: torch.nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.second = torch.nn.Conv2d(4, outputs, 3, padding=1)
        self.last = torch.nn.Identity() if last is None else last
        torch.nn.init.uniform_(self.norm.running_mean)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.last(self.second(torch.relu(self.norm(self.first(image)))))


def torchscript(module: torch.nn.Module) -> bytes:
    buffer = BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


@dataclass
class Foreign:
    """A package with TorchScript weights, as another program writes it."""

    module: torch.nn.Module
    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    names: tuple[str, ...] = ("signal",)
    scale: int = 1
    units: Callable[[np.ndarray], np.ndarray] = np.asarray
    finish: Callable[[np.ndarray], np.ndarray] = np.asarray

    def raw(self, image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.module.eval()(torch.from_numpy(self.units(image).astype(np.float32))).numpy()

    def write(self, path: Path) -> Path:
        image = IMAGE[None, None]
        files = {
            "weights.pt": torchscript(self.module),
            "in.npy": npy(image),
            "out.npy": npy(self.finish(self.raw(image)).astype(np.float32)),
        }
        axes = [{"type": "space", "id": name, "size": size} for name, size in (("y", 40), ("x", 48))]
        sizes = [
            {
                "type": "space", "id": name, "scale": 1 / self.scale,
                "size": {"tensor_id": "raw", "axis_id": name},
            }
            for name in "yx"
        ]  # fmt: skip
        channels = {"type": "channel", "channel_names": list(self.names)}
        weights = {"source": "weights.pt", "sha256": sha256_bytes(files["weights.pt"])}
        content = {
            "format_version": "0.5.4",
            "type": "model",
            "name": "Somebody Elses (Network)",
            "description": "Find what is there.",
            "license": "MIT",
            "authors": [{"name": "Some Body"}],
            "inputs": [
                {
                    "id": "raw",
                    "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["grey"]}, *axes],
                    "test_tensor": {"source": "in.npy"},
                    "preprocessing": self.before,
                }
            ],
            "outputs": [
                {
                    "id": "found",
                    "axes": [{"type": "batch"}, channels, *sizes],
                    "test_tensor": {"source": "out.npy"},
                    "postprocessing": self.after,
                }
            ],
            "weights": {"torchscript": {**weights, "pytorch_version": "2.0"}},
        }
        text = StringIO()
        write_yaml(content, text)
        path.write_bytes(archive_bytes({**files, "bioimageio.yaml": text.getvalue().encode()}))
        return path


def npy(value: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


def standard(image: np.ndarray) -> np.ndarray:
    return (image - image.mean()) / (image.std() + 1e-6)


STANDARD = {"id": "zero_mean_unit_variance", "kwargs": {}}


def test_a_restoring_network_works_in_counts(own: Library, tmp_path: Path):
    foreign = Foreign(Small(), before=[STANDARD], units=standard)
    card = import_package(foreign.write(tmp_path / "foreign.zip"), own)
    assert own.ids() == (card.id,) == ("somebody-elses-network",)
    assert card.task == Denoise()
    assert isinstance(card.config, GraphConfig)
    assert (card.licence, card.facts.receptive_field_px, card.facts.exact_tiling) == ("MIT", 5, True)
    assert "measured" in card.limits[0]
    assert "Some Body" in card.recipe
    expected = foreign.raw(IMAGE[None, None])[0, 0] * IMAGE.std() + IMAGE.mean()
    restored = NetworkMethod(own.load(card.id), tile_px=16)(IMAGE)
    np.testing.assert_allclose(restored, expected, rtol=1e-3, atol=1e-2)
    np.testing.assert_array_equal(restored, NetworkMethod(own.load(card.id))(IMAGE))


@pytest.mark.parametrize(
    ("last", "after", "finish"),
    [
        (torch.nn.Sigmoid(), [], lambda found: found),
        (None, [{"id": "sigmoid"}], expit),
        (torch.nn.Sigmoid(), [{"id": "binarize", "kwargs": {"threshold": 0.5}}], lambda found: found > 0.5),
    ],
)
def test_a_probability_becomes_a_class_beside_the_background(
    own: Library, tmp_path: Path, last: torch.nn.Module | None, after: list, finish: Callable
):
    foreign = Foreign(Small(1, last), after=after, finish=finish, names=("pore",))
    card = import_package(foreign.write(tmp_path / "foreign.zip"), own, "pores")
    assert card.task == Segment(classes=("background", "pore"))
    probable = foreign.raw(IMAGE[None, None])[0, 0]
    found = segment(IMAGE, own.load("pores"))
    assert 0 < found.mean() < 1
    np.testing.assert_array_equal(found, probable > (0.5 if last is not None else 0))


def test_several_scores_are_classes_as_they_are(own: Library, tmp_path: Path):
    foreign = Foreign(Small(3), names=("void", "grain", "wall"))
    card = import_package(foreign.write(tmp_path / "foreign.zip"), own)
    assert card.task == Segment(classes=("void", "grain", "wall"))
    np.testing.assert_array_equal(
        segment(IMAGE, own.load(card.id)), foreign.raw(IMAGE[None, None])[0].argmax(axis=0)
    )


def test_a_finer_output_is_super_resolution(own: Library, tmp_path: Path):
    foreign = Foreign(Small(4, torch.nn.PixelShuffle(2)), scale=2)
    card = import_package(foreign.write(tmp_path / "foreign.zip"), own)
    assert card.task == SuperResolve(scale=2)
    assert NetworkMethod(own.load(card.id))(IMAGE).shape == (80, 96)


UNITS = {
    "percentiles": (
        {"id": "scale_range", "kwargs": {"min_percentile": 2, "max_percentile": 99.8}},
        lambda image: Scaling.of(image, (2, 99.8)).apply(image),
    ),
    "linear": (
        {"id": "scale_linear", "kwargs": {"gain": 0.02, "offset": -0.5}},
        lambda image: image * 0.02 - 0.5,
    ),
    "fixed": (
        {"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 60.0, "std": 30.0}},
        lambda image: (image - 60) / 30,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
def test_its_own_normalisation_is_kept(own: Library, tmp_path: Path, name: str):
    before, units = UNITS[name]
    import_package(Foreign(Small(), before=[before], units=units).write(tmp_path / "foreign.zip"), own)


def test_our_own_graph_comes_in_as_a_strangers_and_gives_the_same(
    repacked: Callable[..., Path], library: Library, own: Library
):
    def forget(files: dict[str, bytes]) -> None:
        content = read_yaml(files["bioimageio.yaml"].decode())
        del content["config"]["synoptic"]
        text = StringIO()
        write_yaml(content, text)
        files["bioimageio.yaml"] = text.getvalue().encode()

    card = import_package(repacked(forget, "edsr-x3"), own)
    ours = library.card("edsr-x3")
    assert isinstance(card.config, GraphConfig)
    # The exporter leaves out biases that are zero.
    same = {"parameters": card.facts.parameters}
    assert (card.task, card.facts) == (ours.task, ours.facts.model_copy(update=same))
    expected = NetworkMethod(library.load("edsr-x3"))(IMAGE)
    np.testing.assert_allclose(NetworkMethod(own.load(card.id))(IMAGE), expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(ExchangeError, match=r"expected 3 channels, found 1"):
        import_package(repacked(forget, "unet-slices"), own, "slices")


def test_a_network_that_does_not_give_its_test_output_is_refused(own: Library, tmp_path: Path):
    foreign = Foreign(Small(), before=[STANDARD], units=lambda image: image / 2)
    with pytest.raises(ExchangeError, match="expected the test output"):
        import_package(foreign.write(tmp_path / "foreign.zip"), own)
    assert not own.folder.exists()


REFUSED = {
    "clipped before": (
        Foreign(Small(), before=[STANDARD, {"id": "clip", "kwargs": {"min": -1.0}}], units=standard),
        "zero_mean_unit_variance, clip",
    ),
    "scaled after": (
        Foreign(Small(), after=[{"id": "scale_linear", "kwargs": {"gain": 2.0}}]), "found scale_linear"
    ),
    "coarser": (Foreign(torch.nn.MaxPool2d(2)), "sampling of the image or finer"),
    "smaller": (Foreign(torch.nn.Conv2d(1, 1, 3)), "keeps the size of the image"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_here_is_refused(own: Library, tmp_path: Path, name: str):
    foreign, reason = REFUSED[name]
    with pytest.raises(ExchangeError, match=reason):
        import_package(foreign.write(tmp_path / "foreign.zip"), own)


class Reader(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + torch.from_file("/etc/passwd", size=1)


class OnLoading(torch.nn.Module):
    @torch.jit.export
    def __getstate__(self) -> int:
        return 1

    @torch.jit.export
    def __setstate__(self, state: int) -> None:
        self.training = False

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image


class Endless(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        count = 1
        while count > 0:
            count += 1
        return image


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Reader(), r"torch\.from_file"),
        (OnLoading(), "__getstate__, __setstate__"),
        (Endless(), "a statement 'while'"),
    ],
)
def test_torchscript_that_does_more_than_arithmetic_is_never_loaded(
    module: torch.nn.Module, reason: str, monkeypatch: pytest.MonkeyPatch
):
    content = torchscript(module)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(ExchangeError, match=reason):
        torchscript_as_onnx(content, (1, 1, 8, 8))


CODE = {
    "_0 = torch.save\n_0(x)": r"_0, torch\.save",
    "_0 = __torch__.f\n_0(x)": None,
    "_0: Any = ops.aten.save": r"ops\.aten, ops\.aten\.save",
    "getattr(torch, 'save')(x)": "getattr",
    "open('x')": "open",
    "(x).write(y)": r"x\.write",
    "import os": "a statement 'import'",
    "torch.relu(x)": None,
}


@pytest.mark.parametrize("code", CODE)
def test_no_detour_leads_to_another_function(code: str):
    content = archive_bytes(
        {"a/code/__torch__.py": b"def f(x): return x\n" + code.encode(), "a/constants.pkl": b"."}
    )
    if CODE[code] is None:
        refuse_unsafe(content)
        return
    with pytest.raises(ExchangeError, match=CODE[code]):
        refuse_unsafe(content)


def test_two_files_of_one_name_are_refused():
    content = archive_bytes({"a/code/__torch__.py": b"", "A/code/__torch__.py": b"", "a/x.pkl": b"."})
    with pytest.raises(ExchangeError, match="one file of each name"):
        refuse_unsafe(content)


def test_a_pickle_inside_may_build_tensors_only():
    content = archive_bytes({"a/code/__torch__.py": b"", "a/constants.pkl": pickle.dumps(print, protocol=2)})
    with pytest.raises(ExchangeError, match="the name __builtin__ print"):
        refuse_unsafe(content)


def test_torchscript_that_does_arithmetic_is_let_through():
    refuse_unsafe(torchscript(Small(3, torch.nn.Softmax(dim=1))))
