import json
from pathlib import Path

import pytest

from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise
from onegauge.training.errors import DataError

GOOD, VIEW, BENT = "OK/S0001/a_C1.jpg", "NG/BX/S0002/a_C2.jpg", "NG/BX/S0002/a_C1.jpg"


def entry(image: str, kind: str, mask: str | None = None) -> dict:
    return {"category": "plug", "anomaly_class": kind, "image_path": image, "mask_path": mask}


def listing(path: Path, **changes: object) -> None:
    content = {
        "meta": {"normal_class": "OK", "prefix": "plug/"},
        "train": [entry("OK/S0003/a_C1.jpg", "OK"), entry(GOOD, "OK")],
        "test": [
            entry("OK/S0004/a_C1.jpg", "OK", "OK/S0004/a_C1.png"),
            entry(BENT, "BX", BENT.replace("jpg", "png")),
            entry(VIEW, "BX"),
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes))


@pytest.fixture(params=["realiad_jsons", "realiad_jsons/realiad_jsons"])
def real_iad(request, tmp_path, draw, mark) -> Path:
    """One product, its listing beside or above that of the single views."""
    names = (GOOD, "OK/S0003/a_C1.jpg", "OK/S0004/a_C1.jpg", BENT, VIEW)
    draw(*(f"realiad_1024/plug/{name}" for name in names))
    mark(f"realiad_1024/plug/{BENT.replace('jpg', 'png')}")
    listing(tmp_path / request.param / "plug.json")
    other = tmp_path / request.param.replace("jsons/realiad_jsons", "jsons") / "realiad_jsons_sv"
    listing(other / "plug.json")
    return tmp_path


def test_the_split_is_that_of_the_listings(real_iad):
    images = real_iad / "realiad_1024" / "plug"
    trained = dataset.training_images(real_iad)
    assert trained == [images / GOOD, images / "OK" / "S0003" / "a_C1.jpg"]
    assert [*map(recognise(real_iad).product_of, trained)] == ["plug", "plug"]
    bent, view, good = dataset.test_images(real_iad)
    assert (bent.path, bent.product, bent.defect) == (images / BENT, "plug", "BX")
    assert bent.mask == images / BENT.replace("jpg", "png")
    assert dataset.mask_of(bent, 2).tolist() == [[True, False]] * 2
    assert (good.anomalous, good.defect, good.mask) == (False, "good", None)
    assert (view.path, view.anomalous) == (images / VIEW, False)  # its defect does not show here


def test_images_may_lie_beside_the_listings(tmp_path, draw):
    trained = draw("plug/OK/S0003/a_C1.jpg")
    listing(tmp_path / "realiad_jsons" / "plug.json", train=[entry("OK/S0003/a_C1.jpg", "OK")])
    assert dataset.training_images(tmp_path) == trained
    assert [*map(recognise(tmp_path).product_of, trained)] == ["plug"]


def test_defective_images_of_the_noisy_protocol_are_not_trained_on(tmp_path, draw):
    trained, _ = draw(f"plug/{GOOD}", f"plug/{BENT}")
    noisy = [entry(GOOD, "OK"), entry(BENT, "BX", "plug/mask.png")]
    draw("plug/plug/mask.png")
    listing(tmp_path / "realiad_jsons" / "plug.json", train=noisy)
    assert dataset.training_images(tmp_path) == [trained]


def test_two_resolutions_are_refused(real_iad, draw):
    draw("realiad_raw/plug/OK/S0003/a_C1.jpg")
    with pytest.raises(DataError, match="realiad_1024 and realiad_raw: leave one"):
        dataset.training_images(real_iad)


def test_a_listed_file_that_is_not_there_is_named(real_iad):
    (real_iad / "realiad_1024" / "plug" / GOOD).unlink()
    with pytest.raises(DataError, match=r"S0001/a_C1\.jpg does not exist, though .*plug\.json"):
        dataset.training_images(real_iad)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"train": []}',
        '{"meta": {"prefix": "plug/"}, "train": []}',
        '{"meta": {"prefix": "plug/", "normal_class": "OK"}, "train": [{"image_path": "a.jpg"}]}',
    ],
)
def test_a_damaged_listing_is_named(tmp_path, content):
    (tmp_path / "realiad_jsons").mkdir()
    (tmp_path / "realiad_jsons" / "plug.json").write_text(content)
    with pytest.raises(DataError, match=r"plug\.json is not a listing of Real-IAD"):
        dataset.training_images(tmp_path)
