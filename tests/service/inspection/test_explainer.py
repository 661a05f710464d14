"""What explains an answer, of a model that was really trained and of one made up."""

from collections.abc import Iterator
from hashlib import sha256
from math import inf
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from onegauge.export.session import Session
from onegauge.library.library import Library, Origin, load
from onegauge.library.likeness import Embedding, distances
from onegauge.schemas import Options
from onegauge.service.imaging.image import read_image
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.inspection.inquiry import Inquiry, Upload
from onegauge.service.inspection.regions import Region
from onegauge.service.model.outputs import Insight
from tests.service.inspection.masked import post as post_masked
from tests.service.inspection.masked import white
from tests.service.served import in_process

SIZE = 128  # pixels of the model and of the pictures
CELL = 8  # pixels of the picture that a pixel of the map is of
NAMES = ("anomaly_map", "neighbours", "weights", "points")


@pytest.fixture(scope="module")
def client(trained_repository: Path) -> Iterator[TestClient]:
    with in_process(trained_repository) as client:
        yield client


@pytest.fixture(scope="module")
def library(trained_repository: Path) -> Library:
    return load(trained_repository / "onegauge" / "1" / "library.npz")


@pytest.fixture(scope="module")
def graph(trained_repository: Path) -> Session:
    return Session(trained_repository / "onegauge" / "1" / "model.onnx")


def inspect(client: TestClient, files: list[Path], **options: object) -> list[dict]:
    parts = [("image", (file.name, file.read_bytes())) for file in files]
    response = client.post("/v1/inspect", files=parts, params=options)
    assert response.status_code == 200, response.text
    return response.json()["results"]


def defective(tree: Path) -> list[Path]:
    return sorted(f for f in tree.glob("*/test/*/*.jpg") if f.parent.name != "good")


def test_an_image_looks_like_normal_images_of_its_own_product(client, product_tree):
    files = sorted(product_tree.glob("*/test/good/*.jpg"))
    for file, found in zip(files, inspect(client, files, explain=True), strict=True):
        references = found["explanation"]["references"]
        assert len({reference["id"] for reference in references}) == 5
        product = file.relative_to(product_tree).parts[0]
        assert {reference["origin"].split("/")[0] for reference in references} == {product}
        similarities = [reference["similarity"] for reference in references]
        assert sorted(similarities, reverse=True) == similarities


def test_a_reference_looks_most_like_itself(client, product_tree):
    files = sorted(product_tree.glob("*/train/good/*.jpg"))[::6]
    for file, found in zip(files, inspect(client, files, explain=True), strict=True):
        first, second, *_ = found["explanation"]["references"]
        assert first["id"] == sha256(file.read_bytes()).hexdigest()[:12]
        assert first["origin"] == str(file.relative_to(product_tree))
        assert second["similarity"] < 0.99 < first["similarity"] <= 1


def test_similarity_falls_with_the_distance_in_the_measure_of_the_fifth(
    client, library, product_tree
):
    descriptors = library.deviations[library.references]
    embedded = Embedding.of(descriptors)(descriptors)
    apart = np.sort(distances(embedded, embedded), axis=1)[:, :5]
    for row in (0, 25, 59):
        file = product_tree / library.origins[library.pictures[library.references[row]]].name
        (found,) = inspect(client, [file], explain=True)
        similarities = [r["similarity"] for r in found["explanation"]["references"]]
        expected = np.exp(-((apart[row] / apart[row, 4]) ** 2))
        assert similarities == pytest.approx(expected, abs=1e-3)


def most_like(library: Library, outputs: list[np.ndarray]) -> tuple[str, set[tuple[int, int]]]:
    """Id of the reference, and the pixels of its picture, that are most like an image's peak."""
    anomaly_map, (rows,), (weights,), (points,) = outputs
    peak = points[np.unravel_index(anomaly_map[0].argmax(), anomaly_map[0].shape)]
    best = (np.inf, 0, 0)
    for row, weight in zip(rows, weights, strict=True):
        for memory, usual, place in zip(
            library.memories[row], library.usual[row], library.places[row], strict=True
        ):
            apart = np.linalg.norm(peak - memory.astype(float)) / float(usual)
            if weight > 0 and apart < best[0]:
                best = (apart, row, place)
    _, row, place = best
    y, x = divmod(place, points.shape[1])
    pixels = {
        (CELL * x + i, CELL * y + j) for i in range(-CELL, 2 * CELL) for j in range(-CELL, 2 * CELL)
    }
    inside = {(i, j) for i, j in pixels if 0 <= i < SIZE and 0 <= j < SIZE}
    return library.origins[library.pictures[library.references[row]]].id, inside


def test_a_region_names_the_normal_patch_that_its_peak_is_nearest_to(
    client, library, graph, product_tree
):
    explained = 0
    files = defective(product_tree)
    for file, found in zip(files, inspect(client, files, explain=True), strict=True):
        image = read_image(file.read_bytes(), (SIZE, SIZE), max_pixels=SIZE**2).pixels
        outputs = graph.outputs(NAMES, [{"image": image[np.newaxis]}])
        for region in found["regions"][:1]:
            normal = region["normal"]
            left, top, width, height = normal["box"]
            box = {(left + i, top + j) for i in range(width) for j in range(height)}
            assert (normal["reference"], box) == most_like(library, outputs)
            assert (product_tree / normal["origin"]).is_file()
            explained += 1
    assert explained > 5


def test_all_regions_are_explained_under_a_mask_too(client, product_tree):
    file = defective(product_tree)[0]
    mask = white(0, 0, SIZE // 2, SIZE, size=(SIZE, SIZE))
    answer = post_masked(client, file.read_bytes(), mask, threshold=-10, explain=True)
    (found,) = answer.json()["results"]
    assert found["regions"]
    assert all(region["normal"] for region in found["regions"])


def test_answers_are_the_same_but_for_the_explanation(client, product_tree):
    files = [*defective(product_tree)[::3], *sorted(product_tree.glob("*/test/good/*.jpg"))[::5]]
    told, bare = inspect(client, files, explain=True), inspect(client, files)
    assert any(found["regions"] for found in told)
    for found in told:
        assert found["explanation"]
        found["explanation"] = None
        for region in found["regions"]:
            region["normal"] = None
    for found in (*told, *bare):
        found.pop("timing_ms")
    assert told == bare


@pytest.fixture
def explainer() -> Explainer:
    """Two references of two memories in two axes, on a map of 4 x 6 pixels."""
    memories = np.array([[[0, 0], [10, 0]], [[0, 9], [20, 20]]], np.int8)
    usual = np.array([[1, 1], [4, 1]], np.float16)
    places = np.array([[0, 8], [23, 11]], np.int32)
    origins = [Origin(name, digest * 64, 60, 80, 0) for name, digest in (("a", "a"), ("b", "b"))]
    return Explainer(memories, usual, places, origins, (b"of a", b"of b"))


def insight(peak: tuple[float, float], weights: tuple[float, float] = (0.7, 0.3)) -> Insight:
    points = np.zeros((1, 4, 6, 2), np.float32)
    points[0, 2, 3] = peak
    return Insight(np.array([[0, 1]], np.int32), np.array([weights], np.float32), points)


REGION = Region(box=(0, 0, 1, 1), area=1, peak=1.0, mean=1.0, peak_at=(2, 3))


@pytest.mark.parametrize(
    ("peak", "weights", "reference", "box"),
    [
        ((9, 0), (0.7, 0.3), "a", (10, 0, 30, 60)),  # the memory at y 1, x 2
        ((1, 0), (0.7, 0.3), "a", (0, 0, 20, 40)),  # at a corner
        ((1, 0), (0, 1), "b", (40, 40, 20, 40)),  # the other must not be compared with
        ((0, 2), (0.7, 0.3), "b", (40, 40, 20, 40)),  # where such distances are usual
        ((20, 19), (0.7, 0.3), "b", (40, 0, 20, 60)),
    ],
)
def test_the_box_is_of_the_nearest_memory_in_the_picture_that_it_is_of(
    explainer, peak, weights, reference, box
):
    (patch,) = explainer.normal_patches(insight(peak, weights), [REGION])
    assert (patch.reference, patch.origin) == (reference * 12, reference)
    assert patch.box == box


def test_what_must_not_be_compared_with_is_not_told(explainer):
    explained = explainer.explanation(insight((0, 0), (1, 0)))
    assert [reference.origin for reference in explained.references] == ["a"]


def test_a_reference_is_found_by_its_id_with_its_thumbnail(explainer):
    assert explainer.reference("b" * 12) == (explainer.origins[1], b"of b")
    assert explainer.reference("c" * 12) is None


def decisions(client: TestClient) -> list[str]:
    lines = client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("onegauge_decisions_total")]


def test_looking_again_says_the_same_and_counts_nothing(client, product_tree):
    file = defective(product_tree)[0]
    (before,) = inspect(client, [file], explain=True)
    gateway, data = client.app.state.gateway, file.read_bytes()
    counted = decisions(client)
    inquiry = Inquiry(
        [Upload(file.name, len(data), len(data), [data])], Options(explain=True), {}, inf
    )
    (again,) = client.portal.call(gateway.inspector.explain, inquiry).results
    told = again.model_dump(mode="json")
    assert {**told, "timing_ms": None} == {**before, "timing_ms": None}
    assert decisions(client) == counted
