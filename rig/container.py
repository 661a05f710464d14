"""The built gateway image in a container, run by buildah as a container engine would."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.address import free_address, wait_until_ready

IMAGE = "localhost/onegauge/gateway"
READY_WITHIN_S = 60
ENVIRONMENT = os.environ | {"BUILDAH_ISOLATION": "chroot"}


def buildah(*command: str) -> str:
    """What buildah prints."""
    done = subprocess.run(
        ["buildah", *command], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def image_config() -> dict[str, Any]:
    """What the image says about itself."""
    return dict(json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"])


@dataclass(frozen=True)
class Container:
    """A container, not running yet."""

    name: str

    @property
    def root(self) -> Path:
        """Its files."""
        return Path(buildah("mount", self.name))

    @contextmanager
    def gateway(
        self, settings: Mapping[str, str], secrets: Path | None = None
    ) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """The image's own command on a free port: its address once it is ready, and its process."""
        config, port = image_config(), free_address().rpartition(":")[2]
        options = [f"--env={k}={v}" for k, v in {**settings, "ONEGAUGE_PORT": port}.items()]
        for file in secrets.iterdir() if secrets else ():
            options.append(f"--volume={file}:/run/secrets/{file.name}:ro")
        command = [*config["Entrypoint"], *config["Cmd"]]
        run = ["buildah", "run", *options, self.name, "--", *command]
        with subprocess.Popen(run, env=ENVIRONMENT) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until_ready(f"{url}/readyz", process, READY_WITHIN_S)
                yield url, process
            finally:
                process.terminate()


@contextmanager
def container() -> Iterator[Container]:
    """A container of the image, removed after the block."""
    name = buildah("from", "--pull-never", IMAGE)
    try:
        yield Container(name)
    finally:
        buildah("rm", name)
