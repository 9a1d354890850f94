import pytest
import torch
from torch import nn

from model_library.inference.one_kernel import OneKernel


@pytest.mark.parametrize("layer", [
    nn.Conv2d(3, 5, 3, padding=1),
    nn.Conv2d(4, 8, 1),
    nn.Conv2d(8, 4, 7, stride=2, padding=3),
    nn.Conv2d(8, 8, 3, padding=1, bias=False),
])  # fmt: skip
def test_convolutions_stay_what_they_are(layer: nn.Conv2d):
    torch.manual_seed(0)
    image = torch.randn(1, layer.in_channels, 23, 31)
    with torch.inference_mode():
        expected = layer(image)
        with OneKernel():
            assert torch.allclose(layer(image), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_left_to_torch(dtype: torch.dtype):
    layer, image = nn.Conv2d(2, 3, 3).to(dtype), torch.rand(1, 2, 9, 9).to(dtype)
    with torch.inference_mode():
        expected = layer(image)
        with OneKernel():
            assert torch.equal(layer(image), expected)


def test_a_part_of_an_image_is_convolved_bit_for_bit_as_the_whole():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 3, padding=1).to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, 150, 130).contiguous(memory_format=torch.channels_last)
    part = image[..., 20:60, 30:80].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), OneKernel():
        whole, piece = layer(image), layer(part)
    assert torch.equal(piece[..., 1:-1, 1:-1], whole[..., 21:59, 31:79])
