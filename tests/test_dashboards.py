"""Every panel and every rule, asked of a real Prometheus that scrapes a real gateway and Triton."""

import json
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import httpx
import numpy as np
import pytest
from PIL import Image

from onegauge.export.publish import publish
from onegauge.service.model.repository import read_config
from rig.address import free_address
from rig.gateway_process import gateway_process
from rig.pictures import encode
from rig.prometheus import CONFIGURATION, Prometheus, needed, prometheus
from rig.publishing import add_and_publish
from rig.receiver import receiver
from rig.tritonserver import tritonserver

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "docs" / "samples"
DASHBOARDS = sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))
PAUSE_S = 0.25  # of the line, which need not take all cores
VARIABLES = {"$__rate_interval": "1m", "$line": ".*"}


def panels() -> Iterator[tuple[str, str, bool]]:
    """Name, query and whether it needs a GPU, of everything that the dashboards ask."""
    for file in DASHBOARDS:
        needs_gpu = False
        for panel in json.loads(file.read_text())["panels"]:
            needs_gpu |= panel["type"] == "row" and panel["title"] == "GPU"
            for target in panel.get("targets", ()):
                query = target["expr"]
                for variable, value in VARIABLES.items():
                    query = query.replace(variable, value)
                name = f"{file.stem}: {panel['title']} {target['refId']}"
                yield name, query, needs_gpu


def repository(folder: Path) -> Path:
    """The bundled model twice, for Triton's Python backend, the second to be a shadow."""
    bundled = ROOT / "model_repository" / "onegauge"
    config = read_config(bundled, "config.pbtxt")
    config.backend = "python"
    for _ in range(2):
        add_and_publish(folder / "repository", config, bundled / "1" / "model.onnx")
    publish(folder / "repository", "onegauge", 1, beside=[2])
    return folder / "repository"


def sinks(folder: Path, url: str) -> Path:
    """Settings of a sink that tells of all decisions."""
    (folder / "sinks.toml").write_text(f'[mes]\nkind = "webhook"\nurl = "{url}"\n')
    return folder / "sinks.toml"


def keep_busy(url: str, stop: Event) -> None:
    """Two lines with good parts and bad ones, a product that nobody knows, and a text."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    parts = [file.read_bytes() for file in sorted(SAMPLES.glob("*.jpg"))]
    parts += [encode(Image.fromarray(noise)), b"text"]
    with httpx.Client(base_url=url, timeout=30) as line:
        for part, name in zip(cycle(parts), cycle(("press", "mill", "oven")), strict=False):
            line.post("/v1/inspect", files=[("image", part)], params={"line": name})
            if stop.wait(PAUSE_S):
                return


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus beside a gateway and a Triton that have work to do, and somebody who is told."""
    needed("prometheus")
    folder, stop = tmp_path_factory.mktemp("observed"), Event()
    address, metrics = free_address(), free_address()
    host, port = metrics.split(":")
    options = (f"--metrics-address={host}", f"--metrics-port={port}", "--allow-metrics=true")
    settings = {
        "ONEGAUGE_BACKEND": "triton",
        "ONEGAUGE_TRITON_URL": address,
        "ONEGAUGE_SHADOW_VERSION": "2",
        "ONEGAUGE_SHADOW_SHARE": "1",
        "ONEGAUGE_RECORDS": f"sqlite:///{folder}/records.db",
        "ONEGAUGE_API_KEYS": "off",
    }
    models = repository(folder)
    with (
        receiver() as mes,
        tritonserver(models, folder / "triton.log", address, *options),
        gateway_process(models, ONEGAUGE_SINKS=str(sinks(folder, mes.url)), **settings) as gateway,
        prometheus(
            folder, {"gateway": [gateway.url.removeprefix("http://")], "triton": [metrics]}
        ) as server,
    ):
        line = Thread(target=keep_busy, args=(gateway.url, stop))
        line.start()
        try:
            yield server
        finally:
            stop.set()
            line.join()


@pytest.mark.triton
@pytest.mark.parametrize(
    "query", [pytest.param(query, id=name) for name, query, gpu in panels() if not gpu]
)
def test_panel_has_data(observed, query):
    assert observed.wait_for(query)


@pytest.mark.triton
@pytest.mark.parametrize(
    "query", [pytest.param(query, id=name) for name, query, gpu in panels() if gpu]
)
def test_query_of_a_gpu_is_understood(observed, query):
    observed.query(query)


@pytest.mark.triton
def test_panel_of_records_shows_what_is_written(observed):
    (query,) = (q for name, q, _ in panels() if name == "overview: Records written A")
    assert observed.wait_for(f"{query} > 0")


@pytest.mark.triton
def test_rules_are_evaluated_and_nothing_is_wrong_with_the_service(observed):
    observed.wait_for("line:onegauge_images:rate5m > 0")
    observed.wait_for("onegauge:inspections_slow:ratio_rate5m")
    observed.wait_for("model:nv_inference_queue:seconds_rate5m")
    groups = httpx.get(f"{observed.url}/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    firing = observed.query('ALERTS{alertstate="firing",severity="page"}')
    assert not firing


def test_every_panel_says_what_it_shows():
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            assert panel["type"] == "row" or panel["description"], panel["title"]


@pytest.mark.parametrize("command", [("check", "rules"), ("test", "rules")])
def test_rules_are_as_promtool_wants_them(command):
    files = ("tests.yml",) if command[0] == "test" else ("recording.yml", "alerts.yml")
    subprocess.run([needed("promtool"), *command, *files], cwd=CONFIGURATION, check=True)


def test_configuration_is_as_the_tools_want_it():
    subprocess.run(
        [needed("promtool"), "check", "config", "prometheus.yml"], cwd=CONFIGURATION, check=True
    )
    alertmanager = CONFIGURATION.parent / "alertmanager" / "alertmanager.yml"
    subprocess.run([needed("amtool"), "check-config", alertmanager], check=True)
