import subprocess
import sys

from fastapi.testclient import TestClient

from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.settings import Settings


def test_importing_the_gateway_brings_in_neither_torch_nor_the_other_packages():
    script = (
        "import sys, onegauge.service.server;"
        "import onegauge.service.model.backends.onnx, onegauge.service.model.backends.triton;"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "timm", "scipy", "httpx", "onegauge.cli", "onegauge.client"}
    assert not loaded & {"onegauge.training", "onegauge.export"}
    assert not loaded & {"sqlalchemy", "alembic", "onegauge.service.recording"}
    assert not loaded & {"onegauge.service.sinks.sinks", "asyncua", "paho", "ray"}
    assert not loaded & {"limits", "contourpy"}  # which few requests need


def test_backend_lives_as_long_as_the_application(gauge_repository, normal):
    settings = Settings(repository=gauge_repository)
    app = create_app(settings, load_backend(settings))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/inspect", files=[("image", normal)]).status_code == 200
