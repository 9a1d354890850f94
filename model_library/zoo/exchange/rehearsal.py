"""A network on the test image of its package: what it gives must be what the package says."""

import numpy as np
import torch
from bioimageio.spec.model.v0_5 import (
    BinarizeDescr,
    BinarizeKwargs,
    EnsureDtypeDescr,
    InputTensorDescr,
    OutputTensorDescr,
    SigmoidDescr,
    SoftmaxDescr,
)
from numpy.typing import NDArray
from scipy.special import expit, softmax

from model_library.errors import ExchangeError
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import scale
from model_library.networks.units import scaling_for
from model_library.zoo.exchange.package import Package

TOLERANCE = 1e-3
"""Absolute, and of each value: what bioimage.io allows between engines."""


def rehearse(network: LoadedNetwork, package: Package) -> None:
    """Run the network on the package's test image and compare.

    Raises
    ------
    ExchangeError
        There is no such image, or the result is another one.
    """
    image, expected = test_tensors(package)
    unit = scaling_for(network.card.config, image).apply(image)
    with torch.inference_mode():
        found: NDArray[np.float32] = network.module(torch.from_numpy(unit)).numpy()
    factor = scale(network.card.config)
    if found.shape[2:] != (image.shape[2] * factor, image.shape[3] * factor):
        raise ExchangeError(
            f"{package.name}: expected a network that keeps the size of the image, times {factor}, found "
            f"{found.shape[2:]} from {image.shape[2:]}; Synoptic cannot run this network"
        )
    for step in package.description.outputs[0].postprocessing:
        match step:
            case SoftmaxDescr():
                found = softmax(found, axis=1)
            case SigmoidDescr():
                found = expit(found)
            case BinarizeDescr(kwargs=BinarizeKwargs(threshold=threshold)):
                found = (found > threshold).astype(np.float32)
            case EnsureDtypeDescr():
                pass
            case _:
                raise ExchangeError(
                    f"{package.name}: expected no step after the network but softmax, sigmoid and binarize, "
                    f"found {step.id}; Synoptic cannot run this network"
                )
    _compare(found, expected, package.name)


def test_tensors(package: Package) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the test image and its result, float32 [1, C, Y, X] each; raises `ExchangeError`."""
    description = package.description
    if len(description.inputs) != 1 or len(description.outputs) != 1:
        raise ExchangeError(
            f"{package.name}: expected one input and one output, found {len(description.inputs)} and "
            f"{len(description.outputs)}; Synoptic cannot run this network"
        )
    return _tensor(package, description.inputs[0]), _tensor(package, description.outputs[0])


def _tensor(package: Package, tensor: InputTensorDescr | OutputTensorDescr) -> NDArray[np.float32]:
    axes = tuple(str(axis.id) for axis in tensor.axes)
    if axes != ("batch", "channel", "y", "x"):
        raise ExchangeError(
            f"{package.name}: expected the axes batch, channel, y, x of {tensor.id}, found {', '.join(axes)}"
            "; Synoptic runs networks on planes"
        )
    if tensor.test_tensor is None:
        raise ExchangeError(
            f"{package.name}: expected a test tensor for {tensor.id}, found none; "
            "a network that cannot be checked is not taken in"
        )
    found = package.array(tensor.test_tensor.source).astype(np.float32)
    if found.ndim != len(axes) or not np.isfinite(found).all():
        raise ExchangeError(
            f"{package.name}: expected a finite test tensor of 4 axes for {tensor.id}, found {found.shape}; "
            "ask its makers for a whole package"
        )
    return found


def _compare(found: NDArray[np.float32], expected: NDArray[np.float32], name: str) -> None:
    if found.shape != expected.shape:
        raise ExchangeError(
            f"{name}: expected a test output of {expected.shape}, found {found.shape}; do not use it"
        )
    if not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        error = float(np.abs(found - expected).max())
        raise ExchangeError(
            f"{name}: expected the test output of the package, found a difference of {error:.3g}; "
            "weights or description are not those of the test"
        )
