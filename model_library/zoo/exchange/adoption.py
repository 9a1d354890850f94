"""A package that somebody else has made, as a network of the library."""

import re
from dataclasses import replace

import numpy as np
from bioimageio.spec.model.v0_5 import (
    BinarizeDescr,
    BinarizeKwargs,
    ChannelAxis,
    EnsureDtypeDescr,
    FixedZeroMeanUnitVarianceDescr,
    FixedZeroMeanUnitVarianceKwargs,
    ScaleLinearDescr,
    ScaleLinearKwargs,
    ScaleRangeDescr,
    SigmoidDescr,
    SoftmaxDescr,
    ZeroMeanUnitVarianceDescr,
)
from safetensors.numpy import save

from model_library.cards.card import NetworkCard
from model_library.errors import ExchangeError
from model_library.inference.weights import WEIGHTS_FILE, assemble
from model_library.networks.build import out_channels, scale
from model_library.networks.facts import facts
from model_library.networks.graph_config import (
    Activate,
    ByConstants,
    ByMoments,
    ByPercentiles,
    Convolve,
    GraphConfig,
    Units,
)
from model_library.signing.digests import sha256_bytes
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from model_library.zoo.exchange.onnx_reading import ReadGraph, read_onnx
from model_library.zoo.exchange.package import Package
from model_library.zoo.exchange.rehearsal import rehearse, test_tensors
from model_library.zoo.exchange.torchscript import torchscript_as_onnx

UNMEASURED = (
    "Made elsewhere; Synoptic has measured nothing: score it on images of your own before trusting it."
)


def adopt(package: Package, network_id: str | None) -> tuple[NetworkCard, bytes]:
    """Turn a package with ONNX or TorchScript weights into card and weights, after its own test.

    Parameters
    ----------
    package
        Opened and checked.
    network_id
        What to call the network; by default its name, in small letters.

    Raises
    ------
    ExchangeError
        It has other weights, other steps before or after the network, or operators without a step
        here; or it does not give its test output.
    """
    graph, source = _graph(package)
    try:
        config = GraphConfig(steps=graph.steps, units=_units(package))
        card = _card(package, config, network_id, source)
        facts(config)
    except (ValueError, RuntimeError) as failure:
        raise ExchangeError(
            f"{package.name}: expected a network from plane to plane, found {failure}; Synoptic cannot run it"
        ) from failure
    weights = save(dict(graph.weights))
    card = card.model_copy(update={"weights_sha256": sha256_bytes(weights)})
    rehearse(assemble(card, weights, source=f"{package.name}: {WEIGHTS_FILE}"), package)
    threshold = _threshold(package, config)
    if threshold is None or not isinstance(card.task, Segment):
        return card, weights
    graph = _with_background(graph, out_channels(config), threshold)
    config = config.model_copy(update={"steps": graph.steps})
    weights = save(dict(graph.weights))
    changed = {"config": config, "facts": facts(config), "weights_sha256": sha256_bytes(weights)}
    return card.model_copy(update=changed), weights


def _graph(package: Package) -> tuple[ReadGraph, str]:
    weights = package.description.weights
    image, _ = test_tensors(package)
    if weights.onnx is not None:
        return read_onnx(package.files[str(weights.onnx.source)]), "ONNX"
    if weights.torchscript is not None:
        content = torchscript_as_onnx(package.files[str(weights.torchscript.source)], image.shape)
        return read_onnx(content), "TorchScript"
    found = ", ".join(weights.available_formats)
    raise ExchangeError(
        f"{package.name}: expected weights in ONNX or TorchScript, found {found}; ask its makers for these"
    )


def _units(package: Package) -> Units:
    steps = [
        step for step in package.description.inputs[0].preprocessing if not isinstance(step, EnsureDtypeDescr)
    ]
    match steps:
        case []:
            return ByConstants(offset=0.0, gain=1.0)
        case [ScaleRangeDescr(kwargs=kwargs)] if kwargs.reference_tensor is None:
            return ByPercentiles(low=kwargs.min_percentile, high=kwargs.max_percentile)
        case [ZeroMeanUnitVarianceDescr()]:
            return ByMoments()
        case [FixedZeroMeanUnitVarianceDescr(kwargs=FixedZeroMeanUnitVarianceKwargs(mean=mean, std=std))]:
            return ByConstants(offset=mean, gain=std)
        case [ScaleLinearDescr(kwargs=ScaleLinearKwargs(gain=gain, offset=offset))] if gain > 0:
            return ByConstants(offset=-offset / gain, gain=1 / gain)
    raise ExchangeError(
        f"{package.name}: expected one linear normalisation before the network, found "
        f"{', '.join(step.id for step in steps)}; Synoptic cannot run this network"
    )


def _card(package: Package, config: GraphConfig, network_id: str | None, source: str) -> NetworkCard:
    description = package.description
    limitations = description.config.bioimageio.bias_risks_limitations.limitations
    return NetworkCard(
        id=network_id or re.sub(r"[^a-z0-9]+", "-", description.name.lower()).strip("-")[:63],
        version=str(description.version or "0"),
        purpose=description.description or description.name,
        task=_task(package, config),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
        recipe=f"{source} weights of the bioimage.io package {package.name} by "
        f"{', '.join(author.name for author in description.authors) or 'unnamed authors'}, "
        f"description SHA-256 {sha256_bytes(package.files[package.description_file])}",
        limits=(UNMEASURED, *(() if limitations is None else (limitations,))),
        licence=str(description.license) if isinstance(description.license, str) else "unknown",
    )


def _task(package: Package, config: GraphConfig) -> Task:
    factor, names = scale(config), _channel_names(package)
    independent = _threshold(package, config) is not None
    if len(names) != out_channels(config):
        raise ValueError(f"{out_channels(config)} output channels with the names {names}")
    match factor:
        case 1 if independent:
            return Segment(classes=("background", *names))
        case 1 if len(names) > 1:
            return Segment(classes=names)
        case 1:
            return Denoise()
        case 2 | 3 | 4 if len(names) == 1 and not independent:
            return SuperResolve(scale=factor)
    raise ValueError(f"{len(names)} output channels at scale {factor}")


def _channel_names(package: Package) -> tuple[str, ...]:
    axes = package.description.outputs[0].axes
    return next((tuple(axis.channel_names) for axis in axes if isinstance(axis, ChannelAxis)), ())


def _threshold(package: Package, config: GraphConfig) -> float | None:
    """Tell above which output a channel holds for a pixel, where each channel stands for itself."""
    last = config.steps[-1]
    inside = isinstance(last, Activate) and last.function == "sigmoid"
    after = package.description.outputs[0].postprocessing
    if any(isinstance(step, SoftmaxDescr) for step in after):
        return None
    share = 0.5
    for step in after:
        if isinstance(step, BinarizeDescr) and isinstance(step.kwargs, BinarizeKwargs):
            share = step.kwargs.threshold
    if any(isinstance(step, SigmoidDescr) for step in after):
        return float(np.log(share / (1 - share)))
    return share if inside or any(isinstance(step, BinarizeDescr) for step in after) else None


def _with_background(graph: ReadGraph, channels: int, threshold: float) -> ReadGraph:
    """Put a background of constant score before the channels, so that the largest score is the class."""
    number = len(graph.steps)
    step = Convolve(source=number, inputs=channels, outputs=channels + 1, kernel=(1, 1))
    weight = np.concatenate([np.zeros((1, channels)), np.eye(channels)]).astype(np.float32)[:, :, None, None]
    bias = np.array([threshold, *([0.0] * channels)], np.float32)
    added = {f"layers.{number}.weight": weight, f"layers.{number}.bias": bias}
    return replace(graph, steps=(*graph.steps, step), weights={**graph.weights, **added})
