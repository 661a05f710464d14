"""The built gateway image, run by buildah as a container engine would."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.tritonserver import free_address

pytestmark = pytest.mark.image

IMAGE = "localhost/onegauge/gateway"
SAMPLES = Path(__file__).parents[1] / "docs" / "samples"
MOST_BYTES = 400e6
READY_WITHIN_S = 30
ENVIRONMENT = os.environ | {"BUILDAH_ISOLATION": "chroot"}


def buildah(*command: str) -> str:
    done = subprocess.run(
        ["buildah", *command], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """A container of the image."""
    name = buildah("from", "--pull-never", IMAGE)
    yield name
    buildah("rm", name)


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    """What the image says about itself."""
    return json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]


def files_of(root: Path) -> dict[str, int]:
    """Every file of a container, and when it was written."""
    return {
        str(path.relative_to(root)): path.lstat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in ("proc", "sys", "dev")
    }


@contextmanager
def running(container: str, *command: str, port: str) -> Iterator[subprocess.Popen[bytes]]:
    """The container's entrypoint with the settings of a laptop."""
    settings = {"ONEGAUGE_API_KEYS": "off", "ONEGAUGE_PORT": port}
    options = [f"--env={name}={value}" for name, value in settings.items()]
    run = ["buildah", "run", *options, container, "--", *command]
    with subprocess.Popen(run, env=ENVIRONMENT) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + READY_WITHIN_S
    while True:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.ConnectError:
            pass
        assert process.poll() is None, "the gateway ended"
        assert monotonic() < deadline, f"not ready within {READY_WITHIN_S} s"
        sleep(0.1)


def gateway_pids() -> list[int]:
    """Processes that the image's Python runs."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if b"/opt/onegauge/bin/onegauge\0serve" in command:
                found.append(int(folder.name))
    return found


def test_gateway_answers_is_not_root_and_writes_nothing(container, config):
    root, port = Path(buildah("mount", container)), free_address().rpartition(":")[2]
    before, url = files_of(root), f"http://127.0.0.1:{port}"
    with running(container, *config["Entrypoint"], *config["Cmd"], port=port) as process:
        wait_until_ready(url, process)
        (served,) = gateway_pids()
        status = Path(f"/proc/{served}/status").read_text()
        assert "Uid:\t10001\t10001\t10001\t10001" in status
        for name, decision in (("part", "normal"), ("scratch", "anomalous")):
            sample = next(SAMPLES.glob(f"*{name}*"), None) or sorted(SAMPLES.iterdir())[0]
            files = [("image", sample.read_bytes())]
            answer = httpx.post(f"{url}/v1/inspect", files=files, params={"map": "overlay"})
            assert answer.status_code == 200
            assert answer.json()["results"][0]["decision"] in ("normal", "anomalous"), decision
        check = config["Healthcheck"]["Test"]
        assert check[0] == "CMD"
        options = ["run", f"--env=ONEGAUGE_PORT={port}", container, "--"]
        buildah(*options, *check[1:])
        os.kill(served, 15)
        assert process.wait(20) == 0
    assert files_of(root) == before


def test_image_holds_the_gateway_alone_and_is_small(container):
    (image,) = json.loads(buildah("images", "--json", IMAGE))
    root = Path(buildah("mount", container))
    size = sum(p.lstat().st_size for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    assert size <= MOST_BYTES, image["size"]
    packages = {path.name for path in root.glob("opt/onegauge/lib/python3*/site-packages/*")}
    assert not packages & {"torch", "timm", "scipy", "sklearn", "pip"}
