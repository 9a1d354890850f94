"""Shapes that annotators draw. x runs right, y down; pixel (row, column) covers [column, column + 1)."""

from dataclasses import dataclass

Point = tuple[float, float]
"""(x, y) in pixels, from the outer corner of the first pixel."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed outline of at least three points; it may be concave."""

    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Polyline:
    """An open line of at least two points, `width_px` wide (a dislocation, a crack, a membrane)."""

    points: tuple[Point, ...]
    width_px: float = 1.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, turned clockwise on the screen about its centre by `rotation_deg`."""

    left: float
    top: float
    right: float
    bottom: float
    rotation_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse with half-axes `radius_x` and `radius_y`, turned clockwise on the screen."""

    centre_x: float
    centre_y: float
    radius_x: float
    radius_y: float
    rotation_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class PixelMask:
    """Painted pixels of a box: run lengths row by row, alternating, background first."""

    left: int
    top: int
    width: int
    height: int
    runs: tuple[int, ...]


Shape = Polygon | Polyline | Box | Ellipse | PixelMask


@dataclass(frozen=True, slots=True)
class Annotation:
    """One shape with its label; a higher `z_order` lies on top.

    Attributes
    ----------
    occluded
        The annotator says that something else hides part of the object.
    """

    label: str
    shape: Shape
    z_order: int = 0
    occluded: bool = False


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image, its size in pixels, and what was drawn on it, in the order of drawing.

    Attributes
    ----------
    searched
        Labels that were looked for on the whole image, though perhaps nothing was found. About labels that
        are neither here nor drawn, the image says nothing.
    """

    name: str
    width: int
    height: int
    annotations: tuple[Annotation, ...] = ()
    searched: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """Labels of which the image says where they are and where they are not."""
        return self.searched | {annotation.label for annotation in self.annotations}
