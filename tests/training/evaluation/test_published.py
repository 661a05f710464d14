import shutil
from dataclasses import replace

import numpy as np
import pytest

from onegauge.export.publish import publish
from onegauge.service.imaging.depth import Depth
from onegauge.service.imaging.image import read_original
from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.errors import DataError
from onegauge.training.evaluation.published import evaluate_published, published_model
from onegauge.training.evaluation.run import Question, evaluate_run
from onegauge.training.progress import Progress
from rig.pictures import png_of_12_bits


@pytest.fixture
def repository(trained_repository):
    return trained_repository


def test_a_model_is_found_by_its_folder_and_as_the_only_one_of_a_repository(repository):
    assert published_model(repository / "onegauge") == published_model(repository)
    assert published_model(repository.parent) is None


def test_a_repository_of_several_models_is_not_guessed_at(tmp_path):
    for name in ("bolts", "nuts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.pbtxt").touch()
    with pytest.raises(DataError, match="several models: name one of bolts, nuts"):
        published_model(tmp_path)


def test_what_is_published_reads_as_the_run_does(repository, trained_run, product_tree):
    images = labelled_images(product_tree)
    found = evaluate_published(repository / "onegauge", images, Progress())
    (expected,) = evaluate_run(trained_run, images, Question(("cada",), device="cpu"), Progress())
    assert (found.alignment, found.alpha, found.threshold) == ("cada", 0.05, 1.0)
    for name in ("score", "p_value", "raw_score", "novelty"):
        reading, of_run = (getattr(s.readings, name) for s in (found, expected))
        assert np.allclose(reading, of_run, atol=2e-2), name
    assert found.readings.anomaly_map.shape == expected.readings.anomaly_map.shape
    assert found.card["version"] == "1"


def test_the_served_version_counts_unless_one_is_named(repository, product_tree, tmp_path):
    images = labelled_images(product_tree)[:4]
    model = shutil.copytree(repository / "onegauge", tmp_path / "onegauge")
    shutil.copytree(model / "1", model / "12")
    assert evaluate_published(model, images, Progress()).card["version"] == "1"
    assert evaluate_published(model / "12", images, Progress()).card["version"] == "12"
    publish(tmp_path, "onegauge", 12)
    assert evaluate_published(model, images, Progress()).card["version"] == "12"


def test_files_are_read_by_the_depth_that_the_model_tells(repository, product_tree, tmp_path):
    images = labelled_images(product_tree)[:4]
    plain = evaluate_published(repository / "onegauge", images, Progress())
    model = shutil.copytree(repository / "onegauge", tmp_path / "onegauge")
    with (model / "config.pbtxt").open("a") as config:
        config.write('parameters { key: "bit_depth" value { string_value: "12" } }')
    for number, image in enumerate(images):
        levels = read_original(image.path.read_bytes(), max_pixels=10**6)
        file = tmp_path / f"{number}.png"
        file.write_bytes(png_of_12_bits(np.asarray(levels)))
        images[number] = replace(image, path=file)
    deep = evaluate_published(model, images, Progress())
    np.testing.assert_array_equal(deep.readings.score, plain.readings.score)
    assert deep.readings.depth == Depth(12)


def test_a_damaged_version_is_named(repository, product_tree, tmp_path):
    model = shutil.copytree(repository / "onegauge", tmp_path / "onegauge")
    (model / "1" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match="onegauge/1/model.onnx is not the file that was published"):
        evaluate_published(model, labelled_images(product_tree), Progress())


def test_a_configuration_of_something_else_is_refused(tmp_path, product_tree):
    (tmp_path / "config.pbtxt").write_text('name: "other"')
    with pytest.raises(DataError, match="'other' has no version"):
        evaluate_published(tmp_path, labelled_images(product_tree), Progress())
