"""Image, masks, instances and boxes move together: to draw and then move is to move and then draw."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.annotations import (
    AnnotatedImage,
    Annotation,
    Ellipse,
    Polygon,
    cropped,
    instance_stack,
    one_hot,
)
from model_library.augmentation import (
    UNKNOWN_CLASS,
    Augmentation,
    Batch,
    Crop,
    Flip,
    Instances,
    QuarterTurn,
    Resize,
    Rotate,
    Zoom,
    sliding_crops,
    sliding_windows,
    stacked,
)
from model_library.errors import RecipeError

HEIGHT, WIDTH = 60, 80
CLASSES = ("background", "particle", "satellite")
FIXED = settings(derandomize=True, deadline=None, max_examples=40)


@st.composite
def outlines(draw):
    """A polygon inside the image with blunt corners: sharp ones may lose many pixels of one."""
    x, y, radius = draw(st.floats(25, 55)), draw(st.floats(22, 38)), draw(st.floats(10, 20))
    angles = np.linspace(0, 2 * np.pi, draw(st.integers(6, 9)), endpoint=False) + draw(st.floats(0, 6))
    corners = [(x + radius * math.cos(a) + 0.0137, y + radius * math.sin(a) + 0.0071) for a in angles]
    return Polygon(tuple(corners))


DRAWINGS = st.lists(
    st.builds(Annotation, st.sampled_from(CLASSES[1:]), outlines()), min_size=1, max_size=3
).map(lambda shapes: AnnotatedImage("a.png", WIDTH, HEIGHT, tuple(shapes), frozenset(CLASSES)))


def batch_of(drawing):
    """Grey values are those of the union of all shapes."""
    stack = instance_stack(drawing, CLASSES)
    instances = Instances.of(torch.from_numpy(stack.masks), torch.from_numpy(stack.labels))
    grey = torch.from_numpy(stack.masks.any(axis=0).astype(np.float32))
    masks = torch.from_numpy(one_hot(drawing, CLASSES, exclusive=False))
    return Batch(grey[None, None], masks[None], (instances,))


def moved(batch, *operators, seed=0):
    return Augmentation(operators=operators).apply(batch, np.random.default_rng(seed))


def remapped(drawing, move, size):
    """Move every corner of a drawing by hand."""
    shapes = [
        dataclasses.replace(each, shape=Polygon(tuple(move(x, y) for x, y in each.shape.points)))
        for each in drawing.annotations
    ]
    return AnnotatedImage(drawing.name, size[1], size[0], tuple(shapes), drawing.searched)


def from_outline(drawing):
    """Distance of every pixel's centre to the nearest outline."""
    y, x = np.mgrid[: drawing.height, : drawing.width] + 0.5
    place, distance = x + 1j * y, np.full(x.shape, np.inf)
    for each in drawing.annotations:
        corners = np.array([complex(*corner) for corner in each.shape.points])
        for start, end in zip(corners, np.roll(corners, -1), strict=True):
            share = np.clip(((place - start) / (end - start)).real, 0, 1)
            distance = np.minimum(distance, np.abs(place - start - share * (end - start)))
    return distance


def assert_same_within_a_pixel(batch, drawing, pixel=1.0):
    """All four: instances one by one, their boxes, the class masks where they are known, the image.

    `pixel` is the side of a pixel of old on the new canvas.
    """
    expected, (found,) = batch_of(drawing), batch.instances
    (wanted,) = expected.instances
    assert found.labels.tolist() == wanted.labels.tolist()
    for number, (mask, reference) in enumerate(zip(found.masks, wanted.masks, strict=True)):
        alone = dataclasses.replace(drawing, annotations=drawing.annotations[number : number + 1])
        assert from_outline(alone)[(mask != reference).numpy()].max(initial=0) <= pixel
    # A blunt corner may lose a pixel more than a side.
    assert (found.boxes - wanted.boxes).abs().max() <= 1 + pixel
    known = batch.masks[0] != UNKNOWN_CLASS
    distance = from_outline(drawing)
    wrong = ((batch.masks[0] != expected.masks[0]) & known).any(dim=0).numpy()
    assert distance[wrong].max(initial=0) <= pixel
    inner = known.all(dim=0).numpy() & (distance > 2.5 * pixel)
    assert np.abs(batch.images[0, 0].numpy() - expected.images[0, 0].numpy())[inner].max(initial=0) < 1e-3


def assert_consistent(batch):
    """Boxes are tight, no instance is empty, and instances lie where the image and the masks have them."""
    for number, instances in enumerate(batch.instances):
        for mask, box, label in zip(instances.masks, instances.boxes, instances.labels, strict=True):
            rows, columns = torch.nonzero(mask, as_tuple=True)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert (batch.masks[number, label][mask] == 1).all()


@FIXED
@given(DRAWINGS, st.floats(-180, 180))
def test_rotation_moves_all_four_together(drawing, degrees):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def turn(x, y):
        x, y = x - WIDTH / 2, y - HEIGHT / 2
        return WIDTH / 2 + x * cosine - y * sine, HEIGHT / 2 + x * sine + y * cosine

    turned = moved(batch_of(drawing), Rotate(degrees=(degrees, degrees)))
    assert_same_within_a_pixel(turned, remapped(drawing, turn, (HEIGHT, WIDTH)))
    assert_consistent(turned)


@FIXED
@given(DRAWINGS, st.floats(0.7, 1.4))
def test_zoom_moves_all_four_together(drawing, factor):
    def magnify(x, y):
        return WIDTH / 2 + factor * (x - WIDTH / 2), HEIGHT / 2 + factor * (y - HEIGHT / 2)

    zoomed = moved(batch_of(drawing), Zoom(factor=(factor, factor)))
    assert_same_within_a_pixel(zoomed, remapped(drawing, magnify, (HEIGHT, WIDTH)), max(factor, 1))
    assert_consistent(zoomed)


@FIXED
@given(DRAWINGS, st.integers(45, 90), st.integers(60, 120))
def test_resizing_moves_all_four_together(drawing, height, width):
    sized = moved(batch_of(drawing), Resize(height_px=height, width_px=width))
    wanted = remapped(drawing, lambda x, y: (x * width / WIDTH, y * height / HEIGHT), (height, width))
    assert sized.images.shape == (1, 1, height, width)
    assert_same_within_a_pixel(sized, wanted, max(height / HEIGHT, width / WIDTH, 1))
    assert_consistent(sized)


@FIXED
@given(DRAWINGS, st.sampled_from(["x", "y"]))
def test_flips_move_all_four_together(drawing, axis):
    def mirror(x, y):
        return (WIDTH - x, y) if axis == "x" else (x, HEIGHT - y)

    flipped = moved(batch_of(drawing), Flip(axis=axis, share=1))
    assert_same_within_a_pixel(flipped, remapped(drawing, mirror, (HEIGHT, WIDTH)))
    assert_consistent(flipped)


@FIXED
@given(DRAWINGS, st.integers(0, 1000))
def test_a_crop_is_the_drawing_in_a_window(drawing, seed):
    found = moved(batch_of(drawing), Crop(height_px=20, width_px=30), seed=seed)
    # Positions are whole, so one of the windows fits exactly.
    places = [(top, left) for top in range(HEIGHT - 19) for left in range(WIDTH - 29)]
    whole = batch_of(drawing).masks[0]
    fits = [
        (slice(top, top + 20), slice(left, left + 30))
        for top, left in places
        if torch.equal(whole[:, top : top + 20, left : left + 30], found.masks[0])
    ]
    assert any(same(found, batch_of(cropped(drawing, window))) for window in fits)
    assert_consistent(found)


def same(first, second):
    pairs = zip(first.instances, second.instances, strict=True)
    return (
        torch.equal(first.images, second.images)
        and torch.equal(first.masks, second.masks)
        and all(
            torch.equal(a.masks, b.masks)
            and torch.equal(a.labels, b.labels)
            and torch.equal(a.boxes, b.boxes)
            for a, b in pairs
        )
    )


def two_discs():
    discs = (Annotation("particle", Ellipse(12, 12, 8, 8)), Annotation("satellite", Ellipse(62, 45, 9, 9)))
    return AnnotatedImage("a.png", WIDTH, HEIGHT, discs, frozenset(CLASSES))


def test_an_instance_that_leaves_the_crop_is_gone_from_all_four():
    batch = sliding_crops(batch_of(two_discs()), window_px=30, stride_px=30)
    first = (batch.images[0], batch.masks[0], batch.instances[0])
    assert first[2].labels.tolist() == [1]
    assert first[2].boxes.tolist() == [[4, 4, 20, 20]]
    assert not (first[1][2] == 1).any()
    assert torch.equal(first[0][0] > 0, first[2].masks.any(dim=0))
    assert_consistent(batch)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_sliding_windows_cover_the_image(height, width, window, stride):
    window = min(height, width, window)
    stride = min(stride, window)
    covered = np.zeros((height, width), dtype=int)
    for place in sliding_windows((height, width), window, stride):
        assert covered[place].shape == (window, window)
        covered[place] += 1
    assert covered.min() >= 1


def test_sliding_crops_are_the_windows_of_each_image_in_turn():
    batch = Batch(torch.arange(2 * 60 * 80, dtype=torch.float32).reshape(2, 1, 60, 80))
    crops = sliding_crops(batch, window_px=40, stride_px=25)
    windows = sliding_windows((60, 80), 40, 25)
    expected = [batch.images[:, :, rows, columns] for rows, columns in windows]
    assert torch.equal(crops.images, torch.cat(expected))


def test_right_angles_keep_every_value():
    square = Batch(torch.rand(8, 2, 16, 16), torch.randint(0, 3, (8, 1, 16, 16)).to(torch.uint8))
    turned = moved(square, QuarterTurn())
    kinds = set()
    for before, after, mask, other in zip(
        square.images, turned.images, square.masks, turned.masks, strict=True
    ):
        turns = [k for k in range(4) if torch.equal(torch.rot90(before, k, (1, 2)), after)]
        assert len(turns) == 1
        assert torch.equal(torch.rot90(mask, turns[0], (1, 2)), other)
        kinds.add(turns[0])
    assert len(kinds) > 1


def test_what_comes_from_outside_is_unknown_and_no_instance():
    drawing = two_discs()
    small = moved(batch_of(drawing), Zoom(factor=(0.5, 0.5)))
    outside = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    outside[HEIGHT // 4 : 3 * HEIGHT // 4, WIDTH // 4 : 3 * WIDTH // 4] = False
    assert (small.masks[0][:, outside] == UNKNOWN_CLASS).all()
    assert (small.masks[0][:, ~outside] != UNKNOWN_CLASS).all()
    assert not small.instances[0].masks[:, outside].any()
    mean = batch_of(drawing).images.mean()
    assert torch.allclose(small.images[0, 0][outside], mean, atol=1e-5)


def test_a_share_of_the_images_is_changed():
    images = torch.rand(400, 1, 4, 4)
    flipped = moved(Batch(images), Flip(axis="x", share=0.25)).images
    struck = torch.tensor([not torch.equal(a, b) for a, b in zip(images, flipped, strict=True)])
    assert 60 < struck.sum() < 140
    assert torch.equal(flipped[struck], images[struck].flip(3))


@pytest.mark.parametrize(
    "operator", [Rotate(), Zoom(), Resize(height_px=20, width_px=20), Crop(height_px=9, width_px=9)]
)
def test_images_without_instances_and_without_labels_pass(operator):
    nothing = Instances(torch.zeros(0, 30, 30, dtype=torch.bool), torch.zeros(0, dtype=torch.int64))
    found = moved(Batch(torch.rand(1, 1, 30, 30), None, (nothing,)), operator)
    assert found.masks is None
    assert found.instances[0].boxes.shape == (0, 4)
    assert found.instances[0].masks.shape == (0, *found.images.shape[2:])


def test_instances_are_what_mask_r_cnn_is_trained_on():
    target = batch_of(two_discs()).instances[0].detection_target()
    assert {key: value.dtype for key, value in target.items()} == {
        "boxes": torch.float32,
        "labels": torch.int64,
        "masks": torch.uint8,
    }


IMAGES = torch.rand(2, 1, 30, 40)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: moved(Batch(IMAGES), Crop(height_px=31, width_px=5)), "at least 31 x 5 pixels to crop"),
        (lambda: moved(Batch(IMAGES), QuarterTurn()), "square images"),
        (lambda: moved(Batch(IMAGES / 0), Flip(axis="x")), "in image 0 of the batch"),
        (lambda: sliding_windows((30, 40), 31, 1), "at most 30 pixels"),
        (lambda: sliding_windows((30, 40), 10, 11), "a stride of 1 to"),
        (lambda: Batch(IMAGES[0]), r"images float32 \[N, C, Y, X\]"),
        (lambda: Batch(IMAGES.double()), "found float64"),
        (lambda: Batch(IMAGES, torch.zeros(2, 1, 30, 41, dtype=torch.uint8)), "masks uint8"),
        (lambda: Batch(IMAGES, torch.zeros(2, 1, 30, 40)), "masks uint8.*found float32"),
        (lambda: Batch(IMAGES, None, ()), "instances of each of 2 images, found 0"),
        (lambda: Batch(IMAGES[:1], None, (Instances(torch.zeros(1, 9, 9), torch.ones(1)),)), "masks of inst"),
        (lambda: stacked([]), "batches of one size"),
        (lambda: stacked([Batch(IMAGES), Batch(IMAGES[..., :9])]), "found 2 kinds"),
    ],
)
def test_what_does_not_fit_is_refused(make, expected):
    with pytest.raises(RecipeError, match=expected):
        make()
