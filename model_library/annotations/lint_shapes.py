"""The label lint's look at the shapes of one image, each alone and beside its neighbours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from model_library.annotations.finding import Fault, Finding
from model_library.annotations.outlines import convex_hull, crossing, pixel_corners
from model_library.annotations.rasterise import Placed, rasterise
from model_library.annotations.shapes import AnnotatedImage, Annotation, Polygon

LEAST_AREA_PX = 4
"""Fewer pixels are a slip of the hand."""
BITE_SHARE = 0.05
"""Share of its convex hull that a shape must lack to be called concave."""
LEAST_BITE_PX = 16
"""Less may be the steps that pixels make."""
COVERED_SHARE = 0.5
"""Share of what it lacks that other shapes must cover for it to look occluded."""
HOLE_SHARE = 0.05
"""Holes larger than this share of the smallest shape round them are taken for background."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A shape, its number in the file, and its pixels."""

    image: str
    number: int
    annotation: Annotation
    placed: Placed
    area: int

    def finding(self, fault: Fault, found: str, remedy: str) -> Finding:
        """Tell something about this shape."""
        label = self.annotation.label
        return Finding(
            fault=fault, image=self.image, label=label, shape=self.number, found=found, remedy=remedy
        )


def lint_shapes(image: AnnotatedImage) -> Iterator[Finding]:
    """Find shapes of hardly any area, that cross themselves, that look occluded, and holes between shapes."""
    size = (image.height, image.width)
    solid = []
    for number, annotation in enumerate(image.annotations, 1):
        placed = rasterise(annotation.shape, size)
        drawn = _Drawn(image.name, number, annotation, placed, int(placed.mask.sum()))
        yield from _alone(drawn)
        if drawn.area >= LEAST_AREA_PX:
            solid.append(drawn)
    for drawn in solid:
        yield from _occluded(drawn, solid, size)
    yield from _holes(solid, size)


def _alone(drawn: _Drawn) -> Iterator[Finding]:
    if drawn.area < LEAST_AREA_PX:
        yield drawn.finding(
            "hardly_any_area",
            f"{drawn.area} pixels inside the image",
            f"delete it, or draw an object of at least {LEAST_AREA_PX} pixels",
        )
    shape = drawn.annotation.shape
    place = crossing(shape.points) if isinstance(shape, Polygon) else None
    if place is not None:
        yield drawn.finding(
            "self_crossing",
            f"its outline crosses itself at x {place[0]:.1f}, y {place[1]:.1f}",
            "move the corners there apart, since what lies between crossings may count as outside",
        )


def _occluded(drawn: _Drawn, solid: Sequence[_Drawn], size: tuple[int, int]) -> Iterator[Finding]:
    """Compare a shape with its convex hull: other shapes may have what it lacks there."""
    hull = rasterise(Polygon(convex_hull(pixel_corners(drawn.placed))), size)
    lacking = hull.mask.copy()
    lacking[_window_in(drawn.placed, hull)] &= ~drawn.placed.mask[_window_in(hull, drawn.placed)]
    lacks = int(lacking.sum())
    if drawn.annotation.occluded or lacks < max(BITE_SHARE * hull.mask.sum(), LEAST_BITE_PX):
        return
    covered = np.zeros_like(lacking)
    for other in solid:
        # What a shape lies upon does not hide it.
        if other is not drawn and _shared(other.placed, drawn.placed) < COVERED_SHARE * drawn.area:
            covered[_window_in(other.placed, hull)] |= other.placed.mask[_window_in(hull, other.placed)]
    hidden = int((lacking & covered).sum())
    if hidden >= COVERED_SHARE * lacks:
        yield drawn.finding(
            "looks_occluded",
            f"its concave outline lacks {lacks} pixels of its hull, of which other shapes cover {hidden}",
            "outline it also where another object hides it, with a lower z_order, or mark it as occluded",
        )


def _holes(solid: Sequence[_Drawn], size: tuple[int, int]) -> Iterator[Finding]:
    """Find uncovered places enclosed by several shapes; one finding for each group of shapes."""
    uppermost = np.zeros(size, dtype=np.int32)
    for place, drawn in enumerate(solid, 1):
        uppermost[drawn.placed.window][drawn.placed.mask] = place
    free, _ = ndimage.label(uppermost == 0)
    open_places = set(np.unique(np.concatenate((free[0], free[-1], free[:, 0], free[:, -1]))).tolist())
    groups: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}
    for number, (rows, columns) in enumerate(ndimage.find_objects(free), 1):
        if number in open_places:
            continue
        window = slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1)
        hole = free[window] == number
        border = np.unique(uppermost[window][ndimage.binary_dilation(hole) & ~hole])
        area = int(hole.sum())
        if len(border) > 1 and area <= HOLE_SHARE * min(solid[place - 1].area for place in border):
            groups.setdefault(tuple(border.tolist()), []).append((area, rows.start, columns.start))
    for places, holes in groups.items():
        total = sum(area for area, _, _ in holes)
        if total < LEAST_AREA_PX:
            continue
        first, *others = (solid[place - 1] for place in places)
        beside = ", ".join(str(each.number) for each in others)
        _, row, column = max(holes)
        yield first.finding(
            "hole_between",
            f"{total} pixels that it and shape {beside} enclose and do not cover, at x {column}, y {row}",
            "draw the shapes up to their common border, or let one reach below the other",
        )


def _window_in(inner: Placed, outer: Placed) -> tuple[slice, slice]:
    """Rows and columns of `outer` that `inner` covers, clipped to it; possibly none."""
    (height, width), (tall, wide) = outer.mask.shape, inner.mask.shape
    top, left = inner.top - outer.top, inner.left - outer.left
    rows = slice(min(max(top, 0), height), min(max(top + tall, 0), height))
    return rows, slice(min(max(left, 0), width), min(max(left + wide, 0), width))


def _shared(first: Placed, second: Placed) -> int:
    """Count the pixels that two shapes have in common."""
    common = first.mask[_window_in(second, first)] & second.mask[_window_in(first, second)]
    return int(common.sum())
