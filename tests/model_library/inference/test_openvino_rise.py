"""The quick way up of a U-Net: the same numbers, at every size of windows and number of threads."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from model_library.inference.backends.openvino_backend import OpenVinoBackend, openvino_precisions
from model_library.inference.backends.openvino_door import openvino
from model_library.inference.backends.openvino_rise import quicken, rise_kernel
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.zoo.exchange.onnx_export import as_onnx


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_a_transposed_convolution_does_what_doubling_and_a_convolution_did(
    inputs: int, outputs: int, height: int, width: int, seed: int
):
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(outputs, inputs, 3, 3, generator=generator)
    features = torch.randn(1, inputs, height, width, generator=generator)
    doubled = functional.interpolate(features, scale_factor=2.0, mode="nearest")
    expected = functional.conv2d(doubled, kernel, padding=1)
    found = functional.conv_transpose2d(
        features, torch.from_numpy(rise_kernel(kernel.numpy())), stride=2, padding=1
    )
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.fixture(scope="module")
def unet() -> tuple[nn.Module, bytes]:
    """A U-Net whose biases are drawn, with channels for which OpenVINO has several ways to sum."""
    torch.manual_seed(1)
    module = build(UNetConfig(widths=(32, 64, 64))).eval()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.normal_(0, 0.1)
    return module, as_onnx(module, np.zeros((1, 1, 32, 32), np.float32)).content


def test_nothing_is_doubled_or_joined_any_more(unet: tuple[nn.Module, bytes]):
    library = openvino()
    model = library.Core().read_model(unet[1])
    before = Counter(node.get_type_name() for node in model.get_ordered_ops())
    quicken(model, library)
    after = Counter(node.get_type_name() for node in model.get_ordered_ops())
    assert (before["Interpolate"], before["ConvolutionBackpropData"]) == (2, 0)
    assert (after["Interpolate"], after["ConvolutionBackpropData"]) == (0, 2)
    assert before["Concat"] - after["Concat"] == 2
    assert after["Convolution"] == before["Convolution"]


def test_it_agrees_with_torch(unet: tuple[nn.Module, bytes]):
    module, graph = unet
    image = np.random.default_rng(0).random((2, 1, 52, 76), dtype=np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(image)).numpy()
    found = OpenVinoBackend(graph, precision="float32", threads=1)(image)
    assert np.abs(found - expected).max() <= 1e-5 * expected.std()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_threads_sum_in_the_same_order_at_every_size(unet: tuple[nn.Module, bytes], precision: str):
    if precision not in openvino_precisions():
        pytest.skip(f"this processor has no instructions for {precision}")
    backend = OpenVinoBackend(unet[1], precision=precision, threads=2)
    image = np.random.default_rng(0).random((1, 1, 80, 420), dtype=np.float32)
    whole, reach = backend(image).copy(), 24
    for width in (84, 172, 204, 252, 276, 372):
        part = backend(np.ascontiguousarray(image[..., :width]))
        assert np.array_equal(part[..., : width - reach], whole[..., : width - reach]), width
