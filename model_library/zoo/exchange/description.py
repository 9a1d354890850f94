"""What bioimage.io 0.5 wants to know of a network, from its card; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from model_library.cards.card import NetworkCard
from model_library.images.intensity import HIGH_PERCENTILE, LOW_PERCENTILE
from model_library.wire.tasks import Denoise, Segment, SuperResolve

FORMAT_VERSION = "0.5.12"
DESCRIPTION_FILE = "bioimageio.yaml"
README_FILE, ONNX_FILE = "README.md", "weights.onnx"
TEST_INPUT_FILE, TEST_OUTPUT_FILE = "test_input.npy", "test_output.npy"
INPUT, OUTPUT = "input", "output"
PARTLY_FLAT = 1e-9
"""`eps` of the normalisation: the engine adds nothing, bioimage.io wants something above zero."""

Content = dict[str, Any]
"""A part of the description, as YAML knows it."""

_REFERENCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "unet": ("Ronneberger, Fischer, Brox: U-Net (2015)", "10.1007/978-3-319-24574-4_28"),
        "residual_denoiser": ("Zhang et al.: DnCNN (2017)", "10.1109/TIP.2017.2662206"),
        "edsr": ("Lim et al.: EDSR and MDSR (2017)", "10.1109/CVPRW.2017.151"),
        "mdsr": ("Lim et al.: EDSR and MDSR (2017)", "10.1109/CVPRW.2017.151"),
        "pssr_unet": ("Fang et al.: PSSR (2021)", "10.1038/s41592-021-01080-z"),
    }
)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a network sees sizes, in pixels.

    Attributes
    ----------
    side
        The smallest image side that the package promises to take.
    step
        Sides grow by multiples of this.
    halo
        Context at each border, in input pixels.
    scale
        Output pixels per input pixel along each axis.
    channels
        Names of the input channels.
    """

    side: int
    step: int
    halo: int
    scale: int
    channels: tuple[str, ...]


def describe(card: NetworkCard, geometry: Geometry, digests: Mapping[str, str], opset: int) -> Content:
    """Write the description of a package.

    Parameters
    ----------
    card
        Of the network.
    geometry
        Sizes that the network takes.
    digests
        SHA-256 of every file of the package, by name; what has no other role is an attachment.
    opset
        Version of the ONNX operators.

    Returns
    -------
    The content of `bioimageio.yaml`.
    """

    def file(name: str) -> Content:
        return {"source": name, "sha256": digests[name]}

    named = {README_FILE, ONNX_FILE, TEST_INPUT_FILE, TEST_OUTPUT_FILE}
    return {
        "format_version": FORMAT_VERSION,
        "type": "model",
        "name": f"Synoptic {card.id}",
        "version": _version(card.version),
        "description": card.purpose,
        "authors": [{"name": "The contributors of Synoptic"}],
        "cite": _cite(card),
        "license": card.licence,
        "tags": _tags(card),
        "documentation": file(README_FILE),
        "attachments": [file(name) for name in digests if name not in named],
        "inputs": [_input(geometry, file(TEST_INPUT_FILE))],
        "outputs": [_output(card, geometry, file(TEST_OUTPUT_FILE))],
        "weights": {"onnx": {**file(ONNX_FILE), "opset_version": opset}},
        "config": {"bioimageio": _background(card), "synoptic": _own(card)},
    }


def _version(version: str) -> str:
    """Write a version as packaging tools do: after one plus sign, parts are parted by dots."""
    release, plus, local = version.partition("+")
    return f"{release}{plus}{local.replace('+', '.')}"


def _input(geometry: Geometry, test_tensor: Content) -> Content:
    def axis(name: str) -> Content:
        size = {"min": geometry.side, "step": geometry.step}
        return {"type": "space", "id": name, "size": size, "concatenable": True}

    percentiles = {
        # The channels of an image share one scale.
        "axes": ["y", "x"] if len(geometry.channels) == 1 else ["channel", "y", "x"],
        "min_percentile": LOW_PERCENTILE,
        "max_percentile": HIGH_PERCENTILE,
        "eps": PARTLY_FLAT,
    }
    return {
        "id": INPUT,
        "description": "Micrograph, in counts of whatever unit",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "id": "channel", "channel_names": list(geometry.channels)},
            axis("y"),
            axis("x"),
        ],
        "data": {"type": "float32"},
        "test_tensor": test_tensor,
        "pad": {"mode": "edge"},
        "preprocessing": [{"id": "scale_range", "kwargs": percentiles}],
    }


def _output(card: NetworkCard, geometry: Geometry, test_tensor: Content) -> Content:
    segments = isinstance(card.task, Segment)
    return {
        "id": OUTPUT,
        "description": (
            "Probability of each class" if segments else "Restored image, in units of the normalised input"
        ),
        "axes": [
            {"type": "batch"},
            {"type": "channel", "id": "channel", "channel_names": _output_channels(card, geometry)},
            *(_output_axis(axis, geometry) for axis in ("y", "x")),
        ],
        "data": {"type": "float32"},
        "test_tensor": test_tensor,
        "postprocessing": [{"id": "softmax", "kwargs": {"axis": "channel"}}] if segments else [],
    }


def _output_channels(card: NetworkCard, geometry: Geometry) -> list[str]:
    if isinstance(card.task, Segment):
        return list(card.task.classes)
    return list(geometry.channels) if card.config.channels == "rgb" else ["restored"]


def _output_axis(axis: str, geometry: Geometry) -> Content:
    # Only the ratio of scales matters here; the pixel size differs from image to image.
    found: Content = {
        "type": "space",
        "id": axis,
        "scale": 1 / geometry.scale,
        "size": {"tensor_id": INPUT, "axis_id": axis},
    }
    return found if geometry.halo == 0 else {**found, "halo": geometry.halo * geometry.scale}


def _cite(card: NetworkCard) -> list[Content]:
    found = _REFERENCES.get(card.config.kind)
    return [] if found is None else [{"text": found[0], "doi": found[1]}]


def _tags(card: NetworkCard) -> list[str]:
    task = {"denoise": "denoising", "super_resolve": "super-resolution", "segment": "semantic-segmentation"}
    words: Sequence[str] = (
        task.get(card.task.kind, card.task.kind),
        card.config.kind,
        "electron-microscopy",
        "2d",
        "synoptic",
        *card.modality,
    )
    return list(dict.fromkeys(word.replace("_", "-") for word in words))


def _background(card: NetworkCard) -> Content:
    """Fill in the fields that bioimage.io shows beside a model."""
    found: Content = {
        "architecture_type": card.config.kind,
        "task": _task(card),
        "model_parameter_count": card.facts.parameters,
        "bias_risks_limitations": {"limitations": "\n".join(f"- {limit}" for limit in card.limits)},
    }
    if card.modality:
        found["modality"] = ", ".join(card.modality)
    return found


def _task(card: NetworkCard) -> str:
    match card.task:
        case Denoise():
            return "denoising"
        case SuperResolve():
            return f"super-resolution x{card.task.scale}"
        case Segment():
            return "semantic segmentation"


def _own(card: NetworkCard) -> Content:
    return {"id": card.id, "version": card.version, "weights_sha256": card.weights_sha256}
