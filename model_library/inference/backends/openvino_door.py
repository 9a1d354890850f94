"""The only way to OpenVINO: without its telemetry.

`import openvino` draws an identity for the machine, keeps it in the home folder and sends an event to
Google Analytics where nobody has declined before (2026.4, `openvino.tools.ovc`). Where the package
`openvino_telemetry` cannot be imported it takes a stub instead, which does neither.
"""

import sys
from types import ModuleType

from model_library.inference.backends.port import BackendMissing

_TELEMETRY = "openvino_telemetry"


def openvino() -> ModuleType:
    """Import OpenVINO without what reports on its use.

    Raises
    ------
    BackendMissing
        It is not installed, or came in by another door, with its telemetry.
    """
    if "openvino" in sys.modules and sys.modules.get(_TELEMETRY) is not None:
        raise BackendMissing(
            "expected OpenVINO without telemetry, found it imported with it; import it through "
            "`model_library.inference.backends.openvino_door` only"
        )
    # An entry of None makes the import fail (Python's reference, 5.3.1).
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino as imported
    except ImportError as failure:
        raise BackendMissing(
            f"expected OpenVINO, found {failure}; install the extra: pip install 'synoptic[openvino]'"
        ) from failure
    return imported  # type: ignore[no-any-return]
