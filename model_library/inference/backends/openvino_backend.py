"""Windows computed by OpenVINO, in float32 or bfloat16."""

from collections import OrderedDict
from typing import Any

from model_library.inference.backends.openvino_door import openvino
from model_library.inference.backends.openvino_rise import quicken
from model_library.inference.backends.port import BackendName, Precision, Windows, out_of_memory

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
_SHAPES_KEPT = 4


class OpenVinoBackend:
    """A graph compiled for each shape of windows; the last few stay compiled.

    Parameters
    ----------
    graph
        ONNX, images of any number and size.
    precision
        Of the convolutions.
    threads
        That it may use.

    Raises
    ------
    BackendMissing
        OpenVINO is not installed.
    """

    name: BackendName = "openvino"
    elsewhere = False

    def __init__(self, graph: bytes, *, precision: Precision, threads: int) -> None:
        library = openvino()
        self.precision: Precision = precision
        self._core = library.Core()
        self._model = self._core.read_model(graph)
        quicken(self._model, library)
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Pinned threads would sit on cores that the microscope's program wants.
            "ENABLE_CPU_PINNING": False,
        }
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def __call__(self, windows: Windows) -> Windows:
        """Compute windows; see `port.Backend`."""
        try:
            request = self._request(windows.shape)
            found: Windows = request.infer([windows], share_inputs=True, share_outputs=True)[0]
        except (RuntimeError, MemoryError) as failure:
            self._requests.clear()
            lack = out_of_memory(failure, windows)
            if lack is None:
                raise
            raise lack from failure
        return found

    def _request(self, shape: tuple[int, ...]) -> Any:  # noqa: ANN401  (OpenVINO has no types)
        if shape in self._requests:
            self._requests.move_to_end(shape)
            return self._requests[shape]
        model = self._model.clone()
        model.reshape(list(shape))
        self._requests[shape] = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        if len(self._requests) > _SHAPES_KEPT:
            self._requests.popitem(last=False)
        return self._requests[shape]


def openvino_precisions() -> tuple[Precision, ...]:
    """In which precisions the processor computes by instructions of its own; the first is the exact one."""
    found = openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("float32", "bfloat16") if "BF16" in found else ("float32",)
