"""Sliding windows: all crops of an image, so that training sees each of its pixels."""

from model_library.augmentation.batch import Batch, stacked
from model_library.augmentation.moving import cut, moved
from model_library.errors import RecipeError


def sliding_windows(size: tuple[int, int], window_px: int, stride_px: int) -> tuple[tuple[slice, slice], ...]:
    """Place square windows over an image, row by row.

    Parameters
    ----------
    size
        Of the image [Y, X] in pixels.
    window_px
        Side of a window.
    stride_px
        From one window to the next; the last ones end with the image, so they may overlap more.

    Returns
    -------
    Rows and columns of each window; together they cover the image.

    Raises
    ------
    RecipeError
        The image is smaller than a window, or the stride would leave gaps.
    """
    if min(size) < window_px or not 1 <= stride_px <= window_px:
        raise RecipeError(
            f"expected windows of at most {min(size)} pixels and a stride of 1 to the window's side, found "
            f"{window_px} and {stride_px}; make them smaller"
        )
    tops, lefts = (_starts(length, window_px, stride_px) for length in size)
    return tuple(
        (slice(top, top + window_px), slice(left, left + window_px)) for top in tops for left in lefts
    )


def sliding_crops(batch: Batch, window_px: int, stride_px: int) -> Batch:
    """Cut all sliding windows out of every image of a batch, window by window; refusals as above."""
    height, width = batch.images.shape[2:]
    windows = sliding_windows((height, width), window_px, stride_px)
    moves = [cut(rows.start, columns.start, window_px, window_px) for rows, columns in windows]
    return stacked([moved(batch, [move] * len(batch.images)) for move in moves])


def _starts(length: int, window_px: int, stride_px: int) -> list[int]:
    starts = list(range(0, length - window_px + 1, stride_px))
    return starts if starts[-1] == length - window_px else [*starts, length - window_px]
