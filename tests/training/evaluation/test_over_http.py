import re

import numpy as np
import pytest

from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.errors import DataError
from onegauge.training.evaluation.over_http import evaluate_gateway, is_address
from onegauge.training.evaluation.published import evaluate_published
from onegauge.training.progress import Progress
from tests.service.served import served

ABSENT = "http://127.0.0.1:9"  # the port "discard", where nothing listens


@pytest.fixture
def repository(trained_repository):
    return trained_repository


def asked(repository, images, **options):
    with served(repository, model="onegauge", **options) as url:
        return evaluate_gateway(url, images, Progress())


def test_a_target_is_an_address_by_its_scheme():
    assert is_address("http://127.0.0.1:8000")
    assert is_address("HTTPS://line4.example")
    assert not is_address("runs/http")


def test_a_gateway_says_what_its_model_says(repository, product_tree):
    images = labelled_images(product_tree)
    found = asked(repository, images)
    expected = evaluate_published(repository / "onegauge", images, Progress())
    assert (found.alignment, found.alpha, found.threshold) == ("cada", 0.05, 1.0)
    assert found.readings.products == expected.readings.products
    for name in ("score", "p_value", "raw_score", "novelty"):
        reading, of_model = (getattr(s.readings, name) for s in (found, expected))
        assert np.allclose(reading, of_model, rtol=1e-3, atol=1e-3), name
    maps, of_model = found.readings.anomaly_map, expected.readings.anomaly_map
    assert maps.shape == of_model.shape
    assert np.corrcoef(maps.ravel(), of_model.ravel())[0, 1] > 0.98  # enlarged and reduced again
    assert found.card["version"] == "1"


def test_a_moved_threshold_is_the_one_that_is_measured(repository, product_tree):
    found = asked(repository, labelled_images(product_tree)[:4], threshold=1.5)
    assert found.threshold == 1.5


def test_where_the_p_value_decides_the_threshold_decides_alike(repository, product_tree):
    found = asked(repository, labelled_images(product_tree), max_false_alarm_rate=0.3)
    assert found.alpha == 0.3
    readings = found.readings
    alarms = readings.p_value <= 0.3
    assert 0 < alarms.sum() < len(alarms)
    assert np.array_equal(readings.score >= found.threshold, alarms)


def test_an_image_that_the_gateway_cannot_read_is_named_and_left_out(
    repository, product_tree, tmp_path, capsys
):
    images = labelled_images(product_tree)[:3]
    images[1].path.rename(tmp_path / "kept")
    images[1].path.write_bytes(b"no image")
    try:
        found = asked(repository, images)
    finally:
        (tmp_path / "kept").rename(images[1].path)
    assert [image.path for image in found.readings.images] == [images[0].path, images[2].path]
    assert images[1].path.name in capsys.readouterr().err


@pytest.mark.parametrize("address", [ABSENT, "http://[no]"])
def test_where_no_gateway_answers_the_address_is_named(address, product_tree):
    with pytest.raises(DataError, match=re.escape(address)):
        evaluate_gateway(address, labelled_images(product_tree), Progress())


def test_a_key_that_cannot_be_one_is_refused_without_being_told(monkeypatch):
    monkeypatch.setenv("ONEGAUGE_API_KEY", "og_ü")
    with pytest.raises(DataError, match="character") as raised:
        evaluate_gateway(ABSENT, [], Progress())
    assert "og_" not in str(raised.value)
