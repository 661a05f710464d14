"""What runs the graph: a file for each way.

embedded  a model of the repository in this process, by ONNX Runtime (onnx) or OpenVINO (openvino)
triton    a Triton Inference Server; shared_memory: images beside the messages to it

jobs        work for a request in threads, given up with it
huge_pages  memory that every image needs
"""

from collections.abc import Callable
from functools import partial

from onegauge.service.errors import needed_by
from onegauge.service.model.model import Backend
from onegauge.service.settings import Settings

_EXTRAS = {"onnx": "cpu", "openvino": "openvino"}  # of the package, by embedded backend


def load_backend(settings: Settings) -> Backend:
    """The backend that the settings ask for, an embedded one with its model loaded.

    Raises BackendUnavailable when its library is not installed, and what EmbeddedBackend raises.
    """
    return backend_for(settings)()


def backend_for(settings: Settings) -> Callable[[], Backend]:
    """What makes that backend, and imports nothing more; raises BackendUnavailable."""
    if settings.backend == "triton":
        from onegauge.service.model.backends.triton import TritonBackend

        return partial(TritonBackend, settings)
    with needed_by(f"ONEGAUGE_BACKEND {settings.backend}", _EXTRAS[settings.backend]):
        from onegauge.service.model.backends.embedded import EmbeddedBackend

        if settings.backend == "openvino":
            from onegauge.service.model.backends.openvino import compile_model
        else:
            from onegauge.service.model.backends.onnx import compile_model
    return partial(EmbeddedBackend, settings, compile_model)
