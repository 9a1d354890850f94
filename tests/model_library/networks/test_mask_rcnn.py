import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from model_library.networks.build import build, out_channels, receptive_radius, scale, stride
from model_library.networks.config import MaskRCNNConfig
from model_library.networks.facts import facts
from model_library.networks.mask_rcnn import MaskRCNN, Target

SMALL = MaskRCNNConfig(width=16, proposals=32, detections=8)


def network(config: MaskRCNNConfig = SMALL) -> MaskRCNN:
    torch.manual_seed(0)
    module = build(config)
    assert isinstance(module, MaskRCNN)
    return module


def disc(side: int, y: int, x: int, radius: int) -> Tensor:
    rows, columns = torch.arange(side)[:, None], torch.arange(side)[None]
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).to(torch.uint8)


def pictured(*masks: Tensor) -> tuple[Tensor, Target]:
    """Bright discs on a dark ground, and what a network should find there."""
    boxes = []
    for mask in masks:
        rows, columns = torch.nonzero(mask, as_tuple=True)
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    together = torch.stack(masks)
    return together.amax(dim=0)[None].float(), {
        "boxes": torch.tensor(boxes, dtype=torch.float32),
        "labels": torch.ones(len(masks), dtype=torch.int64),
        "masks": together,
    }


def nothing(side: int) -> tuple[Tensor, Target]:
    return torch.zeros(1, side, side), {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, side, side, dtype=torch.uint8),
    }


PICTURES = [pictured(disc(64, 20, 20, 9), disc(64, 44, 40, 12)), nothing(48)]


def test_the_network_has_the_published_size():
    # torchvision's own count of maskrcnn_resnet50_fpn with the 91 classes of COCO.
    config = MaskRCNNConfig(
        backbone="resnet50", classes=91, normalisation="none", in_channels=3, channels="rgb"
    )
    assert facts(config).parameters == 44_401_393


def test_losses_teach_the_network():
    module = network().train()
    images, targets = zip(*PICTURES, strict=True)
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
    values = []
    for _ in range(12):
        loss = module.losses(images, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.6 * values[0]


def test_every_parameter_has_a_part_in_the_losses():
    module = network().train()
    images, targets = zip(*PICTURES, strict=True)
    module.losses(images, targets).backward()
    assert [name for name, each in module.named_parameters() if each.grad is None] == []


def test_held_out_images_have_a_loss_and_leave_the_mode_as_it_is():
    module = network().eval()
    images, targets = zip(*PICTURES, strict=True)
    with torch.no_grad():
        assert torch.isfinite(module.losses(images, targets))
    assert not any(layer.training for layer in module.modules())


def test_the_same_seed_draws_the_same_boxes():
    module = network().train()
    images, targets = zip(*PICTURES, strict=True)
    values = []
    for _ in range(2):
        torch.manual_seed(5)
        values.append(float(module.losses(images, targets).detach()))
    assert values[0] == values[1]


def test_instances_are_found_at_the_size_of_each_image():
    module = network().eval()
    with torch.inference_mode():
        found = module([torch.rand(1, 50, 70), torch.rand(1, 33, 31)])
    for each, shape in zip(found, [(50, 70), (33, 31)], strict=True):
        count = len(each["scores"])
        assert 0 < count <= SMALL.detections
        assert each["masks"].shape == (count, 1, *shape)
        assert each["boxes"].shape == (count, 4)
        assert (each["boxes"] >= 0).all()
        assert (each["boxes"] <= torch.tensor([shape[1], shape[0], shape[1], shape[0]])).all()
        assert set(each["labels"].tolist()) <= {1}
        assert (each["scores"].diff() <= 0).all()


def test_instances_are_refused_while_training():
    with pytest.raises(ValueError, match="call eval"):
        network().train()(torch.rand(1, 1, 32, 32))


def test_colour_and_stacks_are_taken():
    config = SMALL.model_copy(update={"in_channels": 5, "channels": "slices"})
    assert network(config).eval()(torch.rand(1, 5, 32, 32))[0]["masks"].shape[2:] == (32, 32)


def test_the_state_is_float32_and_loads_into_a_network_that_was_built_without_memory():
    module = network().eval()
    state = module.state_dict()
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    with torch.device("meta"):
        empty = build(SMALL)
    empty.load_state_dict(state, strict=True, assign=True)
    image = torch.rand(1, 1, 40, 40)
    with torch.inference_mode():
        assert torch.equal(empty.eval()(image)[0]["boxes"], module(image)[0]["boxes"])


def test_the_facts_say_that_tiles_are_inexact():
    told = facts(SMALL)
    assert not told.exact_tiling
    assert told.parameters == sum(parameter.numel() for parameter in network().parameters())
    assert (out_channels(SMALL), scale(SMALL), stride(SMALL)) == (2, 1, 1)


def test_the_facts_count_the_operations_of_the_pyramid():
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build(SMALL).network.backbone(torch.empty(1, 1, 256, 256))
    assert facts(SMALL).flops_per_pixel == round(counter.get_total_flops() / 256**2)


def test_without_its_last_stage_a_resnet_18_is_a_quarter_of_itself():
    short = SMALL.model_copy(update={"anchors_px": (16, 32, 64, 128)})
    assert (SMALL.stages, short.stages) == (4, 3)
    count = {config: facts(config).parameters for config in (SMALL, short)}
    assert count[short] < 0.3 * count[SMALL]
    assert len(network(short).eval()(torch.rand(1, 1, 50, 70))) == 1


def test_slim_boxes_have_a_loss_in_bfloat16():
    """In bfloat16 a box between pixels 250 and 251 has no width, and no logarithm of it."""
    module = network(SMALL.model_copy(update={"anchors_px": (3, 4, 5, 6, 8)})).train()
    slim = [torch.zeros(288, 288, dtype=torch.uint8) for _ in range(6)]
    for number, mask in enumerate(slim):
        mask[245 + 6 * number : 249 + 6 * number, 250:253] = 1
    image, target = pictured(*slim)
    with torch.autocast("cpu", torch.bfloat16):
        features = module.network.backbone(image[None])
        assert {each.dtype for each in features.values()} == {torch.float32}
        assert torch.isfinite(module.losses([image], [target]))


@pytest.mark.parametrize(
    ("backbone", "anchors_px"),
    [
        ("resnet18", (16, 32, 64, 128, 256)),
        ("resnet50", (16, 32, 64, 128, 256)),
        ("resnet18", (16, 32, 64, 128)),
    ],
)
def test_no_pixel_beyond_the_receptive_radius_reaches_a_box(backbone: str, anchors_px: tuple[int, ...]):
    config = MaskRCNNConfig(backbone=backbone, normalisation="none", width=32, anchors_px=anchors_px)
    module, radius = network(config).eval(), receptive_radius(config)
    height = -(-(2 * radius + 64) // 64) * 64
    strip = torch.rand(1, 1, height, 64, requires_grad=True)
    reached = 0
    for scores in module.network.rpn.head([*module.network.backbone(strip).values()])[0]:
        step, cell = height // scores.shape[2], scores.shape[2] // 2
        (gradient,) = torch.autograd.grad(scores[0, :, cell].sum(), strip, retain_graph=True)
        rows, _ = torch.nonzero(gradient[0, 0], as_tuple=True)
        first, last = int(rows.min()), int(rows.max())
        reached = max(reached, cell * step + step - 1 - first, last - cell * step)
    assert 0.75 * radius < reached <= radius
