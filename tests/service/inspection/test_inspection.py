import asyncio
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from threading import Event, Thread

import numpy as np
import pytest
from PIL import Image

from onegauge.schemas import Answer, Options
from onegauge.service.errors import BackendTimeout, BackendUnavailable
from onegauge.service.imaging.tiles import Tiling
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.inquiry import Inquiry, Upload
from onegauge.service.inspection.inspection import Inspection
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads
from rig.pictures import encode
from tests.service.fake_backend import FakeBackend, FakeModel


def post(client, *images: bytes, **options: object):
    return client.post("/inspect", files=[("image", image) for image in images], params=options)


def only(response) -> dict:
    assert response.status_code == 200, response.text
    (result,) = response.json()["results"]
    return result


def test_threshold_of_the_request_is_obeyed_and_echoed(client, normal, defective):
    lax = only(post(client, defective, threshold=2))
    assert (lax["decision"], lax["threshold"], lax["regions"]) == ("normal", 2, [])
    strict = only(post(client, normal, threshold=0.3))
    assert (strict["decision"], strict["threshold"]) == ("anomalous", 0.3)
    assert [region["box"] for region in strict["regions"]] == [[0, 0, 96, 64]]


def test_false_alarm_rate_of_the_request_decides_by_the_p_value(client, normal):
    result = only(post(client, normal, max_false_alarm_rate=0.7))
    assert (result["p_value"], result["decision"]) == (0.6975, "anomalous")
    assert (result["threshold"], result["max_false_alarm_rate"]) == (None, 0.7)
    assert result["regions"], "an anomalous image shows where, also below the threshold"


def test_rate_that_the_calibration_cannot_promise_is_refused(client, normal):
    response = post(client, normal, max_false_alarm_rate=0.001)
    assert response.status_code == 422
    assert "99 calibration images" in response.json()["detail"]
    assert response.json()["least_false_alarm_rate"] == 0.01


def test_criterion_of_the_deployment_holds_until_a_request_brings_its_own(gateway, normal):
    client = gateway(max_false_alarm_rate=0.7)
    assert only(post(client, normal))["decision"] == "anomalous"
    assert only(post(client, normal, threshold=1))["decision"] == "normal"


def test_rate_of_the_deployment_that_the_model_cannot_promise_is_no_mistake_of_the_client(
    gateway, normal
):
    client = gateway(FakeBackend(), max_false_alarm_rate=0.001)
    for response in (client.get("/readyz"), post(client, normal)):
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/unpromised-rate"
        assert response.json()["least_false_alarm_rate"] == 0.01
    assert only(post(client, normal, threshold=1))["decision"] == "normal"
    assert client.get("/model").json()["max_false_alarm_rate"] == 0.001


def test_unknown_product_is_told(client, normal):
    red = BytesIO()
    Image.new("RGB", (32, 32), (100, 0, 0)).save(red, "PNG")
    assert not only(post(client, normal))["unknown_product"]
    result = only(post(client, red.getvalue()))
    assert (result["unknown_product"], result["novelty"]) == (True, 1.5625)


def test_no_map_unless_asked_for(client, normal):
    assert only(post(client, normal))["anomaly_map"] is None


@pytest.mark.parametrize("encoding", ["png", "png16", "overlay"])
def test_map_has_the_size_of_the_original(client, defective, encoding):
    result = only(post(client, defective, map=encoding))
    anomaly_map = result["anomaly_map"]
    picture = Image.open(BytesIO(b64decode(anomaly_map["data"])))
    assert picture.size == (anomaly_map["width"], anomaly_map["height"]) == (96, 64)
    assert anomaly_map["scale"] == {"low": 0.0, "high": 2.0}
    assert result["timing_ms"]["encode"] > 0


def test_npy_map_has_score_units(client, defective):
    result = only(post(client, defective, map="npy"))
    values = np.load(BytesIO(b64decode(result["anomaly_map"]["data"])))
    assert result["anomaly_map"]["scale"] is None
    assert values.shape == (64, 96)
    assert 1.5 < values[16:24, 64:80].max() <= result["score"]
    assert values[:, :48].max() == 0.3125


def test_images_of_a_request_share_the_map_pixels(gateway, normal):
    client = gateway(max_map_pixels=96 * 64)
    assert only(post(client, normal, map="png"))["anomaly_map"]["width"] == 96
    results = post(client, normal, normal, map="png").json()["results"]
    assert [result["anomaly_map"]["width"] for result in results] == [48, 48]


def test_more_images_than_a_batch_keep_their_order(client, normal, defective):
    images = [defective if index % 3 == 0 else normal for index in range(11)]
    results = post(client, *images).json()["results"]
    assert [result["index"] for result in results] == list(range(11))
    decisions = ["anomalous" if index % 3 == 0 else "normal" for index in range(11)]
    assert [result["decision"] for result in results] == decisions


@pytest.mark.parametrize(("images", "batches"), [(1, [1]), (2, [2]), (3, [2, 1]), (5, [2, 2, 1])])
def test_images_come_to_the_model_in_batches_that_it_takes(gateway, normal, images, batches):
    backend = FakeBackend()
    client = gateway(backend)
    assert post(client, *[normal] * images).status_code == 200
    assert backend.batches == batches


def test_pixel_limit_is_the_setting(gateway, normal):
    response = post(gateway(max_pixels=96 * 64 - 1), normal)
    assert response.status_code == 413
    assert response.json()["limit_pixels"] == 96 * 64 - 1


def test_request_whose_version_was_replaced_under_it_begins_again(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend)
    backend.error = BackendUnavailable("version 1 is not there any more")
    backend.serving, backend.side = "2", 16

    async def mended(contract: Contract) -> FakeModel:
        backend.error = None
        return FakeModel(contract, backend)

    backend.load = mended
    response = post(client, normal, normal, normal)
    assert response.json()["model"] == {"name": "fake", "version": "2"}
    assert backend.answered_by == ["2", "2"], "two batches, both by the version that is told"


def test_backend_that_fails_fails_the_request(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend)
    backend.error = BackendTimeout("too slow")
    assert post(client, normal).status_code == 504
    assert client.get("/readyz").status_code == 504
    assert client.get("/healthz").status_code == 200


class OfTiles:
    """A model of tiles, which notes the batches it is asked for, and does something at each."""

    contract = Contract("fake", "1", 8, 8, 2, 2, 2, "onnxruntime", Tiling(8, 0).parameters())
    at_once = 2

    def __init__(self, at_batch: Callable[[int], None]) -> None:
        self.batches: list[int] = []
        self._at_batch = at_batch

    async def work(
        self, job: Callable[[Infer], object], _deadline: float, *, explain: bool
    ) -> object:
        assert not explain
        return await asyncio.to_thread(job, self._infer)

    def _infer(self, images: np.ndarray) -> Outputs:
        self.batches.append(len(images))
        self._at_batch(len(self.batches))
        zero = np.zeros(len(images), np.float32)
        return Outputs(*[zero] * 6, np.zeros((len(images), 2, 2), np.float32))


def test_tiles_are_decoded_only_while_no_more_images_are_than_may_be():
    threads, occupied, went_on = Threads(1), Event(), Event()
    waited: list[bool] = []

    def occupy() -> None:
        occupied.set()
        waited.append(not went_on.wait(0.2))

    def at_batch(number: int) -> None:
        if number == 1:
            Thread(target=threads.here, args=(occupy,)).start()
            occupied.wait(20)
        else:
            went_on.set()

    async def answer(model: OfTiles) -> Answer:
        upload = Upload(None, 10_000)
        upload.write(encode(Image.new("RGB", (24, 8)), "BMP"))
        settings, metrics = Settings(), Metrics()
        inspection = Inspection(settings, Deployment(settings, metrics), metrics, threads)
        return await inspection.answer(Inquiry([upload], Options(), {}, 0.0), model)

    model = OfTiles(at_batch)
    (result,) = asyncio.run(answer(model)).results
    assert (result.decision, model.batches) == ("normal", [2, 1])
    assert waited == [True]
