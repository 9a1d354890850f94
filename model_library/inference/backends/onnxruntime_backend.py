"""Windows computed by ONNX Runtime, in float32."""

from model_library.inference.backends.port import (
    BackendMissing,
    BackendName,
    Precision,
    Windows,
    out_of_memory,
)

_FATAL_ONLY = 4


class OnnxRuntimeBackend:
    """A session that takes images of any number and size.

    Parameters
    ----------
    graph
        ONNX.
    threads
        That it may use.

    Raises
    ------
    BackendMissing
        ONNX Runtime is not installed.
    """

    name: BackendName = "onnxruntime"
    precision: Precision = "float32"
    elsewhere = False

    def __init__(self, graph: bytes, *, threads: int) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError as failure:
            raise BackendMissing(
                f"expected ONNX Runtime, found {failure}; install the extra: "
                "pip install 'synoptic[onnxruntime]'"
            ) from failure
        # What fails is raised and told by whoever asked; the log would tell it a second time.
        onnxruntime.set_default_logger_severity(_FATAL_ONLY)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        # Planning memory ahead takes most of it twice; the arena alone takes least and is fastest.
        options.enable_mem_pattern = False
        # Between windows, waiting threads must leave the cores to the microscope's program.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        told = onnxruntime.capi.onnxruntime_pybind11_state
        self._failures = (told.Fail, told.RuntimeException, RuntimeError, MemoryError)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, windows: Windows) -> Windows:
        """Compute windows; see `port.Backend`."""
        try:
            (found,) = self._session.run(None, {self._input: windows})
        except self._failures as failure:
            lack = out_of_memory(failure, windows)
            if lack is None:
                raise
            raise lack from failure
        result: Windows = found
        return result
