"""What is probably wrong with a file of annotations, told before anything is trained on it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from model_library.annotations.finding import Finding
from model_library.annotations.lint_shapes import lint_shapes
from model_library.annotations.shapes import AnnotatedImage


def lint_annotations(
    images: Sequence[AnnotatedImage],
    labels: Sequence[str] = (),
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[Finding, ...]:
    """Look for what makes labels worse than they need be.

    Findings are advice: a concave shape may be concave, an empty image may be empty.

    Parameters
    ----------
    images
        With their annotations.
    labels
        That the annotators could choose from.
    sizes
        Height and width in pixels of the image files, by path (see `reading.image_sizes`); None where the
        files are not at hand.

    Returns
    -------
    Findings about the file, then image by image.
    """
    found = [*_mixed_sizes(images), *_unused(images, labels)]
    if sizes is not None:
        found += [*_files(images, sizes)]
    drawn: frozenset[str] = frozenset().union(*(image.known for image in images))
    for image in images:
        if not image.known:
            found.append(_unlabelled(image.name, "nothing is drawn on it"))
        else:
            found += _unsearched(image, drawn)
        found += lint_shapes(image)
    return tuple(found)


def _mixed_sizes(images: Sequence[AnnotatedImage]) -> Iterator[Finding]:
    sizes = Counter((image.width, image.height) for image in images)
    if len(sizes) < 2:
        return
    (width, height), _ = sizes.most_common(1)[0]
    for image in images:
        if (image.width, image.height) != (width, height):
            yield Finding(
                fault="mixed_sizes",
                image=image.name,
                found=f"{image.width} x {image.height} pixels, where most images have {width} x {height}",
                remedy="check that it is of the same instrument and magnification, or annotate it apart",
            )


def _unused(images: Sequence[AnnotatedImage], labels: Sequence[str]) -> Iterator[Finding]:
    known: frozenset[str] = frozenset().union(*(image.known for image in images))
    for label in labels:
        if label not in known:
            yield Finding(
                fault="unused_label",
                label=label,
                found="no shape has this label",
                remedy="draw it where it occurs, or delete the label: nothing can be learnt about it",
            )


def _unsearched(image: AnnotatedImage, drawn: frozenset[str]) -> Iterator[Finding]:
    for label in sorted(drawn - image.known):
        yield Finding(
            fault="unsearched_label",
            image=image.name,
            label=label,
            found="no shape of this label, which other images have; it counts as unknown here, not as absent",
            remedy="draw it, or tag the image with this label and searched = true where it does not occur",
        )


def _files(images: Sequence[AnnotatedImage], sizes: Mapping[str, tuple[int, int]]) -> Iterator[Finding]:
    seen = set()
    for image in images:
        path = _find(image.name, sizes)
        if path is None:
            yield Finding(
                fault="missing_image",
                image=image.name,
                found="no file of this name among the images",
                remedy="copy it into the folder, or keep the file names when uploading to CVAT",
            )
            continue
        seen.add(path)
        height, width = sizes[path]
        if (image.height, image.width) != (height, width):
            yield Finding(
                fault="other_size",
                image=image.name,
                found=f"annotated at {image.width} x {image.height} pixels, the file has {width} x {height}",
                remedy="annotate the image at its own size",
            )
    for path in sizes:
        if path not in seen:
            yield _unlabelled(path, "the file of annotations does not list it")


def _find(name: str, sizes: Mapping[str, tuple[int, int]]) -> str | None:
    """Find the file of an image by its path or, CVAT having put folders before it, its file name."""
    if name in sizes:
        return name
    alike = [path for path in sizes if PurePosixPath(path).name == PurePosixPath(name).name]
    return alike[0] if len(alike) == 1 else None


def _unlabelled(name: str, found: str) -> Finding:
    return Finding(
        fault="unlabelled_image",
        image=name,
        found=found,
        remedy="annotate it, leave it out, or, if it shows nothing, tag it with what was searched for",
    )
