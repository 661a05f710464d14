import sys

import pytest

from onegauge.service.errors import BackendUnavailable
from onegauge.service.model.backends import load_backend
from onegauge.service.model.backends.triton import TritonBackend
from onegauge.service.settings import Settings


def test_triton_is_chosen_by_the_settings():
    assert isinstance(load_backend(Settings(backend="triton")), TritonBackend)


@pytest.mark.parametrize(
    ("backend", "package", "extra"),
    [("onnx", "onnxruntime", "cpu"), ("openvino", "openvino", "openvino")],
)
def test_library_that_is_not_installed_is_named_with_its_extra(
    monkeypatch, backend, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"onegauge.service.model.backends.{backend}", raising=False)
    with pytest.raises(BackendUnavailable, match=rf"{package}, .*'onegauge\[{extra}\]'"):
        load_backend(Settings(backend=backend))
