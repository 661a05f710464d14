"""The OpenAPI document is what the gateway does: fuzzed by it, and used by a generated client."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from onegauge.service.http.keys import add_key
from rig.gateway_process import gateway_process
from rig.installed import installed, run_python

FUZZER = "schemathesis==4.32.5"
GENERATOR = "openapi-python-client==0.29.1"
EXAMPLES = os.environ.get("ONEGAUGE_FUZZ_EXAMPLES")  # of a drill, for each route and phase
# The suite asks the same each time, so that it fails by what has changed; a drill asks anew.
ASKED = ("--max-examples", EXAMPLES) if EXAMPLES else ("--max-examples", "15", "--seed", "1")
# That two criteria exclude each other, and that bytes are a readable image, no schema can say.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 406, 413, 415, 422, 429]

# Nor that this model cannot be taught.
[[operations]]
include-path-regex = "^/v1/proposals"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 422]

# What is wrong with a long list of ids may also be too large, and is refused for that first.
[operations.checks.negative_data_rejection]
expected-statuses = [401, 403, 404, 409, 413, 422]
"""
CLIENT = """
import sys
from io import BytesIO
from onegauge_client import AuthenticatedClient
from onegauge_client.api.default import inspect, model
from onegauge_client.models import InspectFilesBody, ProblemDetails
from onegauge_client.types import File
url, key, *images = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)
files = [File(BytesIO(open(image, "rb").read()), image, "image/png") for image in images]
answer = inspect.sync(client=client, body=InspectFilesBody(image=files), contours=True)
print(answer.model.version, *[result.decision for result in answer.results])
print(len(answer.results[1].regions[0].contours))
stranger = AuthenticatedClient(base_url=url, token="unknown")
print(model.sync(client=client).height, model.sync(client=stranger).status)
"""


@dataclass(frozen=True)
class Open:
    """A gateway that asks for a key, and that key."""

    url: str
    key: str


@pytest.fixture(scope="module")
def opened(gauge_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    folder = tmp_path_factory.mktemp("opened")
    file = folder / "keys"
    key = add_key(file, "fuzz", ["inspect", "read", "admin", "review"])
    settings = {
        "ONEGAUGE_API_KEYS": str(file),
        "ONEGAUGE_METRICS_NEED_KEY": "true",
        "ONEGAUGE_RECORDS": f"sqlite:///{folder}/records.db",
    }
    with gateway_process(gauge_repository, **settings) as process:
        yield Open(process.url, key)
        process.popen.terminate()
        _, log = process.end()
    assert "Traceback" not in log
    assert "RuntimeWarning" not in log


def test_fuzzer_finds_no_answer_that_the_document_does_not_foresee(opened, tmp_path):
    home = installed(FUZZER)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = run_python(
        *("-m", "schemathesis.cli", "--config-file", tmp_path / "schemathesis.toml", "run"),
        f"{opened.url}/openapi.json",
        *("--checks", "all", "--phases", "coverage,fuzzing", *ASKED),
        *("--continue-on-failure", "--header", f"Authorization: Bearer {opened.key}"),
        *("--header", "Request-Timeout: 30"),
        path=home,
        cwd=tmp_path,  # it leaves its findings there
    )
    httpx.put(
        f"{opened.url}/v1/criterion",
        json={"threshold": None},  # that of the settings decides again
        headers={"Authorization": f"Bearer {opened.key}"},
    ).raise_for_status()
    assert done.returncode == 0, done.stdout
    (count,) = re.findall(r"(\d+) generated", done.stdout)
    assert 3 * int(count) >= 4 * int(ASKED[1])  # 2,000 of a drill


def test_generated_client_inspects(opened, normal, defective, tmp_path):
    home = installed(GENERATOR)
    (tmp_path / "openapi.json").write_bytes(httpx.get(f"{opened.url}/openapi.json").content)
    (tmp_path / "a.png").write_bytes(normal)
    (tmp_path / "b.png").write_bytes(defective)
    arguments = ("--path", tmp_path / "openapi.json", "--output-path", tmp_path / "client")
    module = "from openapi_python_client.cli import app; app()"
    made = run_python("-c", module, "generate", *arguments, path=home)
    assert (tmp_path / "client" / "onegauge_client").is_dir(), made.stdout + made.stderr
    (tmp_path / "client" / "use.py").write_text(CLIENT)
    images = (tmp_path / "a.png", tmp_path / "b.png")
    used = run_python(tmp_path / "client" / "use.py", opened.url, opened.key, *images, path=home)
    assert used.stdout.split("\n")[:3] == ["1 normal anomalous", "1", "32 401"], used.stderr
