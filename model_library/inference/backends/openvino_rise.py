"""A U-Net's way up with fewer multiplications, for OpenVINO: the same numbers to float rounding.

A 3x3 convolution over features that were doubled by repeating each pixel multiplies most of them twice: where
two of its taps see copies of one pixel, their weights may be added first. What is left is a transposed
convolution by two of the features before they were doubled, with 4 of 9 multiplications. The skip beside
them is convolved by itself and added, so that the two are never joined in memory either.
"""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DOUBLING = {
    "mode": "nearest",
    "shape_calculation_mode": "scales",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}
_SCALES = [1.0, 1.0, 2.0, 2.0]
_NOTHING = np.nextafter(np.float32(0), np.float32(1))
"""Vanishes in any sum. A frame of zeros OpenVINO 2026.4 merges into what follows as if that had no stride."""
_PLAIN = {"strides": [1, 1], "dilations": [1, 1], "pads_begin": [1, 1], "pads_end": [1, 1]}


def quicken(model: Any, library: ModuleType) -> None:  # noqa: ANN401  (OpenVINO has no types)
    """Rewrite every 3x3 convolution over a skip joined with doubled features, in place.

    Parameters
    ----------
    model
        Of OpenVINO, as it was read; whatever in it has another form stays as it is.
    library
        OpenVINO.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution" and _has(node, _PLAIN):
            _rewrite(node, library.opset13)
    model.validate_nodes_and_infer_types()


def rise_kernel(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add the weights that see copies of one pixel.

    Parameters
    ----------
    kernel
        Of a 3x3 convolution with padding 1 over features doubled by repetition, [out, in, 3, 3].

    Returns
    -------
    Of the transposed convolution with stride 2 and padding 1 over the features before, [in, out, 4, 4].
    """
    summed = np.zeros((*kernel.shape[:2], 4, 4))
    for y, x in np.ndindex(3, 3):
        for copy_y, copy_x in np.ndindex(2, 2):
            summed[:, :, 2 - y + copy_y, 2 - x + copy_x] += kernel[:, :, y, x]
    return np.ascontiguousarray(summed.swapaxes(0, 1), np.float32)


def _rewrite(convolution: Any, operators: ModuleType) -> None:  # noqa: ANN401
    joined, weights = _sources(convolution)
    if joined.get_type_name() != "Concat" or weights.get_type_name() != "Constant":
        return
    parts = _sources(joined)
    if len(parts) != 2 or not _doubles(parts[1]) or joined.get_attributes()["axis"] != 1:
        return
    kernel = weights.data
    features, channels = parts[1].input(0).get_source_output(), parts[0].output(0).partial_shape[1]
    if kernel.shape[2:] != (3, 3) or channels.is_dynamic:
        return
    kept = channels.get_length()
    skip = operators.convolution(
        joined.input(0).get_source_output(),
        operators.constant(np.ascontiguousarray(kernel[:, :kept])),
        *([1, 1] for _ in _PLAIN),
    )
    # Zeros all round, cut off again: at an edge taps are missing, and then the order in which the others are
    # summed depends on the size of the image, so that windows would differ by the last bits.
    frame = np.array([0, 0, 1, 1])
    risen = operators.convolution_backprop_data(
        operators.pad(features, frame, frame, "constant", _NOTHING),
        operators.constant(rise_kernel(kernel[:, kept:])),
        [2, 2],
        pads_begin=[3, 3],
        pads_end=[3, 3],
    )
    last = _biased(convolution)
    targets = last.output(0).get_target_inputs()
    if last is not convolution:
        last.input(0).replace_source_output(skip.output(0))
        skip = last
    # Added last: OpenVINO computes convolution, bias and one sum in a single pass.
    total = operators.add(skip, risen)
    for target in targets:
        target.replace_source_output(total.output(0))


def _biased(convolution: Any) -> Any:  # noqa: ANN401
    """Give the addition of the bias to a convolution, where it is the only one to use it; else itself."""
    users = [target.get_node() for target in convolution.output(0).get_target_inputs()]
    if len(users) == 1 and users[0].get_type_name() == "Add":
        first, second = _sources(users[0])
        if first.get_type_name() == "Convolution" and second.get_type_name() in ("Constant", "Reshape"):
            return users[0]
    return convolution


def _doubles(node: Any) -> bool:  # noqa: ANN401
    if node.get_type_name() != "Interpolate" or not _has(node, _DOUBLING):
        return False
    scales = _sources(node)[1]
    return bool(scales.get_type_name() == "Constant" and scales.data.tolist() == _SCALES)


def _has(node: Any, wanted: dict[str, Any]) -> bool:  # noqa: ANN401
    told = node.get_attributes()
    return all(told.get(name) == value for name, value in wanted.items())


def _sources(node: Any) -> list[Any]:  # noqa: ANN401
    return [each.get_source_output().get_node() for each in node.inputs()]
