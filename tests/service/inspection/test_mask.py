from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from onegauge.service.errors import InvalidOption
from onegauge.service.inspection.mask import inspect_only, inspected_part
from onegauge.service.model.contract import Contract
from onegauge.service.model.outputs import Outputs
from rig.pictures import encode, oriented
from tests.service.inspection.masked import post, white

CALIBRATION = np.linspace(0, 1, 9, dtype="<f4")


def contract(**parameters: str) -> Contract:
    return Contract("gauge", "1", 32, 48, 8, 12, 4, "onnxruntime", parameters)


RESCORING = contract(score_pixels="4", calibration_scores=b64encode(CALIBRATION.tobytes()).decode())


def test_defect_counts_only_where_the_mask_is_white(client, defective):
    outside = post(client, defective, white(0, 0, 48, 64), map="npy").json()["results"][0]
    assert (outside["decision"], outside["score"], outside["regions"]) == ("normal", 0.3125, [])
    inside = post(client, defective, white(48, 0, 96, 64)).json()["results"][0]
    assert (inside["decision"], inside["score"]) == ("anomalous", 1.8378906)
    assert [region["box"] for region in inside["regions"]] == [[64, 16, 16, 8]]


def test_white_mask_changes_nothing(client, defective, normal):
    for image in (defective, normal):
        plain = client.post("/v1/inspect", files=[("image", image)]).json()["results"][0]
        masked = post(client, image, white(0, 0, 7, 5, size=(7, 5))).json()["results"][0]
        assert {**masked, "timing_ms": None} == {**plain, "timing_ms": None}


def own(inspected: np.ndarray) -> str:
    """The parameter of a model that was trained under a mask."""
    return b64encode(np.packbits(inspected).tobytes()).decode()


def outputs_of(maps: np.ndarray, scored: np.ndarray) -> Outputs:
    """What a graph gives for maps (B, 8, 12) whose scores are of a part of them."""
    score = np.sort(maps[:, scored])[:, -4:].mean(1)
    p_value = (1 + (score[:, None] <= CALIBRATION).sum(1)) / np.float32(10)
    zero = np.zeros(len(maps), np.float32)
    blank = np.where(scored, maps, np.float32(0))
    return Outputs(score, p_value.astype(np.float32), *[zero] * 4, blank)


def masks(seed: int) -> Iterator[tuple[np.random.Generator, np.ndarray]]:
    """Random masks (8, 12) of one pixel to all, each with a generator for more."""
    rng = np.random.default_rng(seed)
    for pixels in [1, 2, 3, 4, 5, *rng.integers(6, 96, 20), 96]:
        mask = np.zeros(96, bool)
        mask[rng.permutation(96)[:pixels]] = True
        yield rng, mask.reshape(8, 12)


def calibrated(**parameters: str) -> Contract:
    return contract(**RESCORING.parameters, **parameters)


@pytest.mark.parametrize("typical", [-2.0, -0.3, 0.0, 0.3, 2.0])
def test_part_never_scores_above_the_whole_and_its_p_value_is_never_below(typical):
    for rng, inspected in masks(seed=0):
        maps = rng.normal(typical, 1, (50, 8, 12)).astype(np.float32)
        whole = outputs_of(maps, np.ones((8, 12), bool))
        found = inspect_only(inspected, whole, RESCORING)
        assert (found.score <= whole.score).all()
        assert (found.p_value >= whole.p_value).all()
        assert (found.anomaly_map[:, ~inspected] == 0).all()


@pytest.mark.parametrize("typical", [-2.0, 0.0, 2.0])
def test_mask_leaves_the_mask_of_the_training_in_force(typical):
    for rng, inspected in masks(seed=1):
        scored = rng.random((8, 12)) < 0.5
        if not (inspected & scored).any() or scored.sum() < 4:
            continue
        maps = rng.normal(typical, 1, (50, 8, 12)).astype(np.float32)
        whole = outputs_of(maps, scored)
        found = inspect_only(inspected & scored, whole, calibrated(inspected=own(scored)))
        assert (found.score <= whole.score).all()
        if (inspected & scored).sum() >= 4:
            expected = outputs_of(maps, inspected & scored)
            np.testing.assert_allclose(found.score, expected.score, rtol=1e-6)
            np.testing.assert_allclose(found.p_value, expected.p_value, atol=0.11)
        older = inspect_only(inspected, whole, RESCORING)
        assert (older.score <= whole.score).all(), "a model that does not tell of its mask"


def test_what_is_outside_has_no_say_where_the_part_is_large_enough():
    maps = np.full((2, 8, 12), -1, np.float32)
    maps[1, :, 6:] = 5
    left = np.zeros((8, 12), bool)
    left[:, :6] = True
    found = inspect_only(left, outputs_of(maps, np.ones((8, 12), bool)), RESCORING)
    assert found.score.tolist() == [-1, -1]


def test_pixels_that_a_small_part_lacks_count_as_normal():
    maps = np.full((2, 8, 12), -1, np.float32)
    maps[:, 0, 0], maps[1, 4:] = 2, 5
    dot = np.zeros((8, 12), bool)
    dot[0, 0] = True
    found = inspect_only(dot, outputs_of(maps, np.ones((8, 12), bool)), RESCORING)
    assert found.score.tolist() == [(2 - 3) / 4, 2 / 4]


def test_pixels_that_a_small_part_lacks_are_of_what_the_model_was_trained_to_inspect():
    left, dot = np.zeros((8, 12), bool), np.zeros((8, 12), bool)
    left[:, :6] = dot[7, 0] = True
    maps = np.full((1, 8, 12), -1, np.float32)
    maps[0, 0, 0] = 4
    found = inspect_only(dot, outputs_of(maps, left), calibrated(inspected=own(left)))
    assert found.score.tolist() == [(-1 + 0 - 1 - 1) / 4]


def test_p_value_is_never_below_what_the_graph_says_of_the_whole():
    maps = np.full((1, 8, 12), 2, np.float32)
    whole = replace(outputs_of(maps, np.ones((8, 12), bool)), p_value=np.array([0.3], np.float32))
    top = np.arange(8)[:, None].repeat(12, 1) == 0
    assert inspect_only(top, whole, RESCORING).p_value == np.float32(0.3)


def test_p_value_is_that_of_the_score_of_the_part():
    maps = np.full((3, 8, 12), 2, np.float32)
    maps[0, 0], maps[1, 0] = -1, 0.5
    top = np.zeros((8, 12), bool)
    top[0] = True
    found = inspect_only(top, outputs_of(maps, np.ones((8, 12), bool)), RESCORING)
    np.testing.assert_allclose(found.score, [-1, 0.5, 2])
    np.testing.assert_allclose(found.p_value, [10 / 10, 6 / 10, 1 / 10])


def test_mask_that_leaves_all_that_the_model_inspects_is_none():
    half = np.zeros((8, 12), bool)
    half[:, :6] = True
    masked = calibrated(inspected=own(half))
    read = partial(inspected_part, max_pixels=10**6)
    for model, mask in [
        (RESCORING, white(0, 0, 96, 64)),
        (masked, white(0, 0, 96, 64)),
        (masked, white(0, 0, 48, 64)),
    ]:
        assert read(mask, model) is None
    assert np.array_equal(read(white(0, 0, 96, 32), masked), half & (np.arange(8) < 4)[:, None])
    with pytest.raises(InvalidOption, match="version 1 of gauge was trained to look elsewhere"):
        read(white(48, 0, 96, 64), masked)


def test_transparent_is_black_and_orientation_is_heeded():
    clear = Image.new("RGBA", (96, 64), (255, 255, 255, 0))
    clear.paste((255, 255, 255, 255), (48, 0, 96, 64))
    upright = inspected_part(encode(clear), RESCORING, max_pixels=10**6)
    stored = clear.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    stored.paste((0, 0, 0), (0, 48, 64, 96))
    turned = encode(stored, exif=oriented(6))
    assert upright is not None
    assert upright[:, 6:].all()
    assert not upright[:, :6].any()
    assert np.array_equal(inspected_part(turned, RESCORING, max_pixels=10**6), upright)


def test_masked_requests_leave_the_drift_of_their_line_alone(client, normal):
    for _ in range(3):
        post(client, normal, white(0, 0, 48, 64), line="masked")
    client.post("/v1/inspect", files=[("image", normal)], params={"line": "whole"})
    metrics = client.get("/metrics").text
    assert 'onegauge_decisions_total{decision="normal",line="masked"} 3.0' in metrics
    assert 'onegauge_drift_images{line="masked"}' not in metrics
    assert 'onegauge_p_value_count{line="masked"}' not in metrics
    assert 'onegauge_drift_images{line="whole"} 1.0' in metrics
    assert 'onegauge_p_value_count{line="whole"} 1.0' in metrics


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
