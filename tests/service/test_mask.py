from base64 import b64encode

import numpy as np
import pytest
from PIL import Image

from service.backends import Outputs
from service.contract import Contract
from service.errors import InvalidOption
from service.mask import inspect_only, inspected_part
from tests.service.pictures import encode

CALIBRATION = np.linspace(0, 1, 9, dtype="<f4")


def contract(**parameters: str) -> Contract:
    return Contract("gauge", "1", 32, 48, 8, 12, 4, "onnxruntime", parameters)


RESCORING = contract(score_pixels="4", calibration_scores=b64encode(CALIBRATION.tobytes()).decode())


def white(*box: int, size: tuple[int, int] = (96, 64)) -> bytes:
    """A mask that is white in a box of x, y, x, y."""
    image = Image.new("L", size)
    image.paste(255, box)
    return encode(image)


def post(client, image: bytes, mask: bytes, **options: object):
    parts = [("image", image), ("mask", mask)]
    return client.post("/v1/inspect", files=parts, params=options)


def test_defect_counts_only_where_the_mask_is_white(client, defective):
    outside = post(client, defective, white(0, 0, 48, 64), map="npy").json()["results"][0]
    assert (outside["decision"], outside["score"], outside["regions"]) == ("normal", 0.3125, [])
    inside = post(client, defective, white(48, 0, 96, 64)).json()["results"][0]
    assert (inside["decision"], inside["score"]) == ("anomalous", 1.8378906)
    assert [region["box"] for region in inside["regions"]] == [[64, 16, 16, 8]]


def test_white_mask_changes_nothing_but_what_the_calibration_says(client, defective, normal):
    for image in (defective, normal):
        plain = client.post("/v1/inspect", files=[("image", image)]).json()["results"][0]
        masked = post(client, image, white(0, 0, 7, 5, size=(7, 5))).json()["results"][0]
        for name in ("decision", "score", "regions", "novelty", "raw_score"):
            assert masked[name] == plain[name]


def test_score_of_a_part_is_never_above_that_of_the_whole():
    rng = np.random.default_rng(0)
    maps = rng.normal(0.3, 1, (50, 8, 12)).astype(np.float32)
    whole = np.sort(maps.reshape(50, -1))[:, -4:].mean(1)
    scalars = [np.zeros(50, np.float32)] * 5
    for _ in range(20):
        inspected = rng.random((8, 12)) < rng.random()
        found = inspect_only(inspected, Outputs(whole, *scalars, maps), RESCORING)
        assert (found.score <= np.maximum(whole, 0) + 1e-6).all()
        assert (found.anomaly_map[:, ~inspected] == 0).all()


def test_p_value_is_that_of_the_score_of_the_part():
    maps = np.zeros((3, 8, 12), np.float32)
    maps[0], maps[1, 0, :4], maps[2] = -1, 0.5, 2
    zero = np.zeros(3, np.float32)
    found = inspect_only(np.ones((8, 12), bool), Outputs(zero, *[zero] * 5, maps), RESCORING)
    np.testing.assert_allclose(found.score, [-1, 0.5, 2])
    np.testing.assert_allclose(found.p_value, [10 / 10, 6 / 10, 1 / 10])


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (b"a text", "mask cannot be read: The content starts with"),
        (b"", "mask cannot be read: The image is empty"),
        (white(0, 0, 0, 0), "leaves nothing to inspect"),
        (white(0, 0, 2, 2), "leaves nothing to inspect"),
    ],
)
def test_masks_that_cannot_be_used_are_told(client, normal, mask, told):
    response = post(client, normal, mask)
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-option"
    assert told in response.json()["detail"]


def test_one_mask_is_for_all_images(client, normal, defective):
    parts = [("image", normal), ("image", defective), ("mask", white(0, 0, 48, 64))]
    results = client.post("/v1/inspect", files=parts).json()["results"]
    assert [result["decision"] for result in results] == ["normal", "normal"]
    twice = client.post("/v1/inspect", files=[*parts, ("mask", normal)])
    assert (twice.status_code, twice.json()["type"]) == (422, "/problems/invalid-option")


def test_model_that_does_not_say_how_it_scores_takes_no_mask():
    with pytest.raises(InvalidOption, match="leave the mask out"):
        inspected_part(white(0, 0, 9, 9), contract(), max_pixels=10**6)


def test_mask_counts_as_an_image_in_size(gateway, normal):
    client = gateway(max_pixels=96 * 64 - 1)
    response = post(client, normal, white(0, 0, 9, 9))
    assert "mask cannot be read: The image has 96 x 64 pixels" in response.json()["detail"]
