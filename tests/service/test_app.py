import subprocess
import sys

from fastapi.testclient import TestClient

from service.app import create_app
from service.backends import load_backend
from service.settings import Settings


def test_importing_the_gateway_brings_in_neither_torch_nor_the_other_packages():
    script = (
        "import sys, service.server, service.backends.onnx, service.backends.triton;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "timm", "scipy", "training", "export", "onegauge"}


def test_backend_lives_as_long_as_the_application(gauge_repository, normal):
    settings = Settings(repository=gauge_repository)
    app = create_app(settings, load_backend(settings))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/inspect", files=[("image", normal)]).status_code == 200
