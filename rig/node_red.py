"""A real Node-RED with nodes for Modbus, by packages of npm."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rig import Missing
from rig.address import POLL_EVERY_S, free_address
from rig.installed import CACHE
from rig.once import once

# The newest for Node.js 18, and the newest that consist of packages of npm alone
PACKAGES = {"node-red": "4.1.15", "node-red-contrib-modbus": "5.23.3"}
QUIET = ("--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--fetch-retries=1")
READY_WITHIN_S = 60.0
SETTINGS = """module.exports = {
    flowFile: "flows.json",
    credentialSecret: false,
    uiHost: "127.0.0.1",
    telemetry: {enabled: false, updateNotification: false},
    editorTheme: {tours: false},
};
"""


def installed() -> Path:
    """The folder of its packages, installed once; raises Missing."""
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed: apt-get install npm")
    home = CACHE / "-".join(f"{name}-{version}" for name, version in PACKAGES.items())
    return once(home, partial(_install, npm))


def _install(npm: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"dependencies": PACKAGES}))
    done = subprocess.run(
        [npm, "install", *QUIET], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"Node-RED cannot be installed: {done.stderr.strip()[-500:]}")


def flow_of(file: Path, variables: Mapping[str, object]) -> list[dict[str, Any]]:
    """The flow of a file with other values of its variables, as somebody has set them."""
    flow: list[dict[str, Any]] = json.loads(file.read_text())
    known = {variable["name"]: variable for variable in flow[0]["env"]}
    for name, value in variables.items():
        known[name]["value"] = str(value)
    return flow


@contextmanager
def node_red(
    folder: Path, flow: Sequence[Mapping[str, Any]], secrets: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """The address of its editor, once the flow has begun; `secrets` are those of nodes, by id."""
    node, home, address = shutil.which("node"), installed(), free_address()
    if node is None:
        raise Missing("Node.js is not installed: apt-get install nodejs")
    (folder / "settings.js").write_text(SETTINGS)
    (folder / "flows.json").write_text(json.dumps(flow))
    (folder / "flows_cred.json").write_text(json.dumps(secrets))
    red = home / "node_modules" / "node-red" / "red.js"
    command = [node, str(red), "--userDir", str(folder), "--port", address.rpartition(":")[2]]
    with (
        (folder / "log").open("wb") as log,
        # whose folder it is started in is where it finds nodes
        subprocess.Popen(command, cwd=home, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for("Started flows", folder / "log", process)
            yield f"http://{address}"
        finally:
            process.terminate()


def _wait_for(words: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + READY_WITHIN_S
    while words not in (told := log.read_text()):
        assert process.poll() is None, told
        assert monotonic() < deadline, told
        sleep(POLL_EVERY_S)
