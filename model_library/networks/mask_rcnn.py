"""Mask R-CNN (He et al. 2017, arXiv:1703.06870): torchvision's, without weights of others."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Union

import torch
from torch import Tensor, nn

from model_library.networks.config import MaskRCNNConfig
from model_library.networks.layers import without_bias_offset
from model_library.networks.normalisation import norm_layer
from model_library.networks.torchvision_door import torchvision

_SIDES_DIVISIBLE_BY = 32
_ASPECTS = (0.5, 1.0, 2.0)

_Output = Union[Tensor, Mapping[str, "_Output"], Sequence["_Output"]]  # noqa: UP007

Target = dict[str, Tensor]
"""What is in an image: `boxes` [K, 4] x1 y1 x2 y2, `labels` int64 [K] from 1, `masks` uint8 [K, Y, X]."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Instances of one image, best first.

    Attributes
    ----------
    boxes
        [K, 4] x1 y1 x2 y2, pixels.
    labels
        int64 [K], class numbers from 1.
    scores
        [K], in [0, 1].
    masks
        [K, 1, 28, 28], probability within the box; `pasted` puts one into the image.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor

    def pasted(self, instance: int, shape: tuple[int, int]) -> Tensor:
        """Give the probability [Y, X] that each pixel of the image belongs to an instance."""
        one = slice(instance, instance + 1)
        paste = torchvision.models.detection.roi_heads.paste_masks_in_image
        result: Tensor = paste(self.masks[one], self.boxes[one], shape)[0, 0]
        return result


class MaskRCNN(nn.Module):
    """Finds instances, each with a box, a class, a score and a mask.

    The sub-module `network` is torchvision's; sampling of boxes in training draws from torch's
    global generator: seed it (`torch.manual_seed`) first.
    """

    def __init__(self, config: MaskRCNNConfig) -> None:
        super().__init__()
        self.config = config
        detection, width = torchvision.models.detection, config.width
        heads = detection.mask_rcnn
        self.network = detection.MaskRCNN(
            _backbone(config),
            rpn_anchor_generator=detection.anchor_utils.AnchorGenerator(
                tuple((side,) for side in config.anchors_px), (_ASPECTS,) * len(config.anchors_px)
            ),
            rpn_post_nms_top_n_train=config.proposals,
            rpn_post_nms_top_n_test=config.proposals,
            box_batch_size_per_image=config.sampled or config.proposals,
            box_detections_per_img=config.detections,
            box_head=detection.faster_rcnn.TwoMLPHead(width * 7**2, 4 * width),
            box_predictor=detection.faster_rcnn.FastRCNNPredictor(4 * width, config.classes),
            mask_head=heads.MaskRCNNHeads(width, (width,) * 4, 1),
            mask_predictor=heads.MaskRCNNPredictor(width, width, config.classes),
        )
        self.network.transform = _AsTheyAre()
        found = self.network
        for part in (found.backbone, found.rpn.head, found.roi_heads.box_predictor):
            part.register_forward_hook(_in_full_precision)

    def forward(self, images: Tensor | Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Find instances; only in inference mode.

        Parameters
        ----------
        images
            [N, in_channels, Y, X], or images [in_channels, Y, X] of any sizes, unit scaled.

        Returns
        -------
        Of each image `boxes`, `labels`, `scores` as in `Detections`, and `masks` [K, 1, Y, X].
        """
        found: list[dict[str, Tensor]] = []
        for image, each in zip(images, self.detections(images), strict=True):
            shape = (image.shape[-2], image.shape[-1])
            masks = [each.pasted(instance, shape) for instance in range(len(each.scores))]
            pasted = torch.stack(masks)[:, None] if masks else image.new_zeros((0, 1, *shape))
            found.append({"boxes": each.boxes, "labels": each.labels, "scores": each.scores, "masks": pasted})
        return found

    def detections(self, images: Tensor | Sequence[Tensor]) -> list[Detections]:
        """Find instances, their masks left within their boxes: a full mask each would fill memory.

        Raises
        ------
        ValueError
            In training mode.
        """
        if self.training:
            raise ValueError("expected a network in inference mode, found training; call eval() first")
        return [Detections(**each) for each in self.network([*images])]

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> Tensor:
        """Sum torchvision's losses: objectness, boxes of both stages, classes and masks.

        Parameters
        ----------
        images
            [in_channels, Y, X] each, unit scaled.
        targets
            What is in them; an image may hold nothing.

        Returns
        -------
        A scalar; in inference mode as well, so that held-out images have a loss.
        """
        with self._judging():
            parts: dict[str, Tensor] = self.network([*images], [*targets])
        return torch.stack([*parts.values()]).sum()

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Make torchvision return losses whatever the mode is."""
        judges: list[Any] = [self.network, self.network.rpn, self.network.roi_heads]
        before = [judge.training for judge in judges]
        for judge in judges:
            judge.training = True
        try:
            yield
        finally:
            for judge, mode in zip(judges, before, strict=True):
                judge.training = mode


class _AsTheyAre(nn.Module):
    """Stands for torchvision's transform: images keep their size, and masks stay in their boxes."""

    def forward(
        self, images: list[Tensor], targets: list[Target] | None = None
    ) -> tuple[Any, list[Target] | None]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        height, width = (
            -(-max(side) // _SIDES_DIVISIBLE_BY) * _SIDES_DIVISIBLE_BY for side in zip(*sizes, strict=True)
        )
        batch = images[0].new_zeros((len(images), images[0].shape[0], height, width))
        for place, image in zip(batch, images, strict=True):
            place[:, : image.shape[-2], : image.shape[-1]] = image
        return torchvision.models.detection.image_list.ImageList(batch, sizes), targets

    def postprocess(
        self, found: list[dict[str, Tensor]], sizes: object, original_sizes: object
    ) -> list[dict[str, Tensor]]:
        """Leave boxes and masks as they are."""
        del sizes, original_sizes
        return found


def _in_full_precision(part: nn.Module, inputs: object, output: _Output) -> _Output:
    """Widen what a part gives under autocast: a hook of modules.

    Boxes take the precision of the features, and bfloat16 tells pixels beyond 256 apart only by twos:
    slim boxes would vanish, and their logarithms with them.
    """
    match output:
        case Tensor():
            return output.float()
        case Mapping():
            return OrderedDict((key, _in_full_precision(part, inputs, each)) for key, each in output.items())
        case _:
            return tuple(_in_full_precision(part, inputs, each) for each in output)


def _backbone(config: MaskRCNNConfig) -> nn.Module:
    """Make the feature pyramid (Lin et al. 2017) of a ResNet for this many channels."""

    def norm(channels: int) -> nn.Module:
        if config.normalisation == "group":
            return norm_layer("group", channels)
        frozen: nn.Module = torchvision.ops.FrozenBatchNorm2d(channels)
        return frozen

    resnet = getattr(torchvision.models, config.backbone)(weights=None, norm_layer=norm)
    stem = nn.Conv2d(config.in_channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    resnet.conv1 = without_bias_offset(stem)
    deepest = resnet.inplanes
    pyramid: nn.Module = torchvision.models.detection.backbone_utils.BackboneWithFPN(
        resnet,
        OrderedDict((f"layer{stage + 1}", str(stage)) for stage in range(config.stages)),
        [deepest // 2 ** (3 - stage) for stage in range(config.stages)],
        config.width,
    )
    return pyramid


def mask_rcnn_radius(config: MaskRCNNConfig) -> int:
    """How far, in pixels, an input pixel can influence a proposed box (normalisation aside).

    Kernel radius times the sampling step of its layer, plus what each halving of the sampling
    spreads, down to the coarsest level.
    """
    blocks = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
    kernels = 1 if config.backbone == "resnet50" else 2
    reach = 3 + 1 + 2 + 2  # 7x7 stem and 3x3 pooling, both halving
    for stage, count in enumerate(blocks[config.backbone][: config.stages]):
        step = 4 << max(stage - 1, 0)
        if stage:
            reach += step + step + ((kernels * count) - 1) * 2 * step
        else:
            reach += kernels * count * step
    coarsest = 2 << config.stages
    # The pyramid's 3x3 kernel, that of the proposals, and a pixel's place in its cell.
    return reach + coarsest + 2 * 2 * coarsest
