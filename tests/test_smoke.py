"""What docker-compose.yml would start for a GPU server, started by hand on loopback.

The built gateway image, a real tritonserver as the compose file restricts it, and a real Prometheus
with the project's rules.
"""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from onegauge.service.model.repository import read_config
from rig.address import free_address
from rig.container import container
from rig.prometheus import prometheus
from rig.publishing import add_and_publish
from rig.tritonserver import tritonserver

pytestmark = [pytest.mark.image, pytest.mark.triton]

ROOT = Path(__file__).parents[1]
RESTRICTED = "model-repository,shared-memory,trace,logging"


def prepared(folder: Path) -> tuple[Path, str]:
    """The secrets of a fresh checkout, and the first API key."""
    (folder / "docker").mkdir(parents=True)
    for name in (".env.example", "docker/prepare.sh"):
        shutil.copy(ROOT / name, folder / name)
    done = subprocess.run(
        [folder / "docker" / "prepare.sh"], capture_output=True, text=True, check=True
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("API key"))
    return folder / "secrets", line.split()[-1]


def repository(folder: Path) -> Path:
    """The bundled model for Triton's Python backend."""
    bundled = ROOT / "model_repository" / "onegauge"
    config = read_config(bundled, "config.pbtxt")
    config.backend = "python"
    add_and_publish(folder, config, bundled / "1" / "model.onnx")
    return folder


def test_the_whole_path(tmp_path):
    secrets, key = prepared(tmp_path / "checkout")
    models, address, metrics = repository(tmp_path / "models"), free_address(), free_address()
    host, port = metrics.split(":")
    admin_key = (secrets / "triton_admin_key").read_text()
    options = [
        "--model-control-mode=explicit",
        "--load-model=onegauge",
        f"--grpc-restricted-protocol={RESTRICTED}:admin-key={admin_key}",
        "--allow-metrics=true",
        f"--metrics-address={host}",
        f"--metrics-port={port}",
    ]
    settings = {
        "ONEGAUGE_BACKEND": "triton",
        "ONEGAUGE_TRITON_URL": address,
        "ONEGAUGE_TRITON_ADMIN_KEY": "/run/secrets/triton_admin_key",
        "ONEGAUGE_API_KEYS": "/run/secrets/api_keys",
    }
    sample = (ROOT / "docs" / "samples" / "ring-chip.jpg").read_bytes()
    with (
        container() as box,
        tritonserver(models, tmp_path / "triton.log", address, *options),
        box.gateway(settings, secrets) as (url, _),
        prometheus(
            tmp_path, {"gateway": [url.removeprefix("http://")], "triton": [metrics]}
        ) as watcher,
    ):
        image = [("image", sample)]
        assert httpx.post(f"{url}/v1/inspect", files=image).status_code == 401
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as line:
            watcher.wait_for("onegauge_model_info")
            answer = line.post("/v1/inspect", files=image, params={"line": "press"}).json()
            assert answer["results"][0]["decision"] == "anomalous"
            assert line.post("/v1/model/reload").status_code == 200
        watcher.wait_for('onegauge_decisions_total{line="press",decision="anomalous"} == 1')
        watcher.wait_for("nv_inference_request_success >= 1")
        assert {row["value"][1] for row in watcher.query("up")} == {"1"}
        assert not watcher.query('ALERTS{severity="page"}')
