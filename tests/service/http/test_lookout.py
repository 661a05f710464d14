"""A client of Amazon Lookout for Vision, the real one, on a gateway in the service's place."""

import json
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onegauge.service.errors import BackendTimeout
from onegauge.service.http.keys import add_key
from rig.installed import installed, run_python
from tests.service.fake_backend import FakeBackend
from tests.service.served import served

SDK = "boto3==1.35.99"  # later releases are without the service
URL = "/2020-11-20/projects/press-3/models/1/detect"
PNG = {"Content-Type": "image/png"}
CLIENT = """
import base64, boto3, json, sys
url, image, token = sys.argv[1:]
client = boto3.client(
    "lookoutvision", endpoint_url=url, region_name="eu-west-1",
    aws_access_key_id="any", aws_secret_access_key="any", aws_session_token=token or None,
    config=boto3.session.Config(retries={"max_attempts": 0}),
)
try:
    answer = client.detect_anomalies(
        ProjectName="press-3", ModelVersion="1", ContentType="image/png", Body=open(image, "rb")
    )["DetectAnomalyResult"]
    answer["AnomalyMask"] = base64.b64encode(answer["AnomalyMask"]).decode()
except client.exceptions.ClientError as exc:
    answer = exc.response["Error"]
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def sdk() -> Path:
    return installed(SDK)


def ask(sdk: Path, url: str, image: Path, token: str = "") -> dict:
    """What the SDK makes of the gateway's answer."""
    done = run_python("-c", CLIENT, url, image, token, path=sdk)
    return json.loads(done.stdout)


def test_the_real_client_gets_decision_areas_and_mask(
    sdk, gauge_repository, normal, defective, tmp_path
):
    keys = tmp_path / "keys"
    token = add_key(keys, "press-3", ["inspect"])
    (tmp_path / "normal.png").write_bytes(normal)
    (tmp_path / "defective.png").write_bytes(defective)
    (tmp_path / "text.png").write_bytes(b"a text")
    with served(gauge_repository, api_keys=keys) as url:
        found = ask(sdk, url, tmp_path / "defective.png", token)
        fine = ask(sdk, url, tmp_path / "normal.png", token)
        unreadable = ask(sdk, url, tmp_path / "text.png", token)
        unknown = ask(sdk, url, tmp_path / "normal.png")
    assert (found["IsAnomalous"], found["Source"]) == (True, {"Type": "direct"})
    background, anomaly = found["Anomalies"]
    assert (background["Name"], background["PixelAnomaly"]["Color"]) == ("background", "#FFFFFF")
    mask = np.array(Image.open(BytesIO(b64decode(found["AnomalyMask"]))))
    assert mask.shape == (64, 96, 3)
    coloured = (mask == [0xF3, 0x53, 0x53]).all(-1)
    assert coloured[18:22, 68:76].all()
    assert not coloured[:, :48].any()
    share = anomaly["PixelAnomaly"]["TotalPercentageArea"]
    assert share == pytest.approx(coloured.mean())
    assert share + background["PixelAnomaly"]["TotalPercentageArea"] == pytest.approx(1)
    assert found["Confidence"] == pytest.approx(1.8378906 / 2.8378906)
    assert (fine["IsAnomalous"], len(fine["Anomalies"])) == (False, 1)
    assert fine["Confidence"] == pytest.approx(1 / 1.3125)
    assert unreadable["Code"] == "ValidationException"
    assert unknown["Code"] == "AccessDeniedException"


def test_project_is_the_line_of_metrics_and_logs(client, normal, caplog):
    caplog.set_level("INFO", "onegauge.access")
    assert client.post(URL, content=normal, headers=PNG).status_code == 200
    logged = caplog.records[-1].fields
    assert (logged["line"], logged["images"]) == ("press-3", 1)
    assert logged["decisions"] == {"normal": 1}
    assert "key" not in logged
    metrics = client.get("/metrics").text
    assert 'onegauge_decisions_total{decision="normal",line="press-3"} 1.0' in metrics


def test_refusals_and_failures_are_those_of_the_service(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend)
    backend.error = BackendTimeout("too slow")
    failed = client.post(URL, content=normal, headers=PNG)
    assert failed.status_code == 500
    assert failed.headers["x-amzn-ErrorType"] == "InternalServerException"
    assert failed.json() == {"Message": "too slow"}
    two = client.post(URL, files=[("image", normal)] * 2)
    assert (two.status_code, two.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert 'reason="backend-timeout"' in client.get("/metrics").text
