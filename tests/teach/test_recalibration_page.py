import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onegauge.library.conformal import calibrated
from onegauge.library.library import Origin
from onegauge.teach.addition import Pictures
from onegauge.teach.recalibrate import Recalibration
from onegauge.teach.recalibration_page import Histogram, page_of, write


def recalibration(aligned: np.ndarray, novelty: float = 0.5) -> Recalibration:
    """Of grey images with such scores, of a gauge whose threshold is at 1, with references."""
    count, known = len(aligned), np.linspace(-1, 1, 201, dtype=np.float32)
    rows = np.arange(count)
    pictures = Pictures(
        origins=tuple(Origin(f"<i>{row}</i>.png", f"{row:064}", 8, 8, 0) for row in rows),
        products=("",) * count,
        parts=rows,
        images=np.full((count, 8, 8, 3), 128, np.uint8),
        thumbnails=(b"",) * count,
        numbers=rows,
    )
    was = calibrated(known, 0.01)
    aligned = aligned.astype(np.float32)
    strange = np.full(count, novelty, np.float32)
    now = calibrated(aligned, 0.01)
    return Recalibration(pictures, rows, aligned, strange, known, was, now, 0.01, 0.01)


@pytest.fixture
def shifted() -> Recalibration:
    """A line whose scores lie higher now."""
    return recalibration(np.linspace(0, 4, 200))


def text_of(found: Recalibration, folder: Path) -> str:
    return write(found, folder).read_text(encoding="utf-8")


def test_the_page_tells_what_would_change(shifted, tmp_path):
    text = text_of(shifted, tmp_path / "new")
    assert "The line has changed" in text
    assert "The threshold rises" in text
    assert shifted.threshold > 3  # of the scores of before
    assert f'<div class="value">{shifted.threshold:.2f}</div>' in text
    assert "Have these images added by" in text
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)


def test_names_of_files_are_text(shifted, tmp_path):
    text = text_of(shifted, tmp_path)
    assert "<i>" not in text
    assert "&lt;i&gt;199&lt;/i&gt;.png" in text


def test_images_are_those_nearest_to_the_new_threshold(shifted):
    exhibits = page_of(shifted).exhibits
    assert len(exhibits) == 24
    scores = [one.after for one in exhibits]
    assert scores == sorted(scores, reverse=True)
    farthest = max(abs(score - 1) for score in scores)
    assert np.sum(np.abs(shifted.after - 1) < farthest) == 23


@pytest.mark.parametrize(
    ("highest", "status", "words"),
    [
        (1.0, "kept", "keeps its promise"),
        (1.035, "open", "still agrees"),
        (4.0, "broken", "changed"),
    ],
)
def test_the_headline_is_about_the_promise(highest, status, words, tmp_path):
    found = recalibration(np.linspace(-1, highest, 200))
    assert page_of(found).status == status
    assert words in text_of(found, tmp_path)


def test_images_should_be_added_where_the_threshold_would_rise_far(shifted):
    assert shifted.should_be_added
    assert "added by onegauge add instead" in shifted.told()[-1]
    assert not recalibration(np.linspace(0, 1.3, 200)).should_be_added
    assert not replace(shifted, references=None).should_be_added  # there are none to add to


def test_a_new_product_is_told_to_be_added(tmp_path):
    strange, known = (recalibration(np.linspace(-1, 1, 200), n) for n in (1.5, 0.5))
    assert "if the product is new" in text_of(strange, tmp_path)
    assert "onegauge add" not in text_of(known, tmp_path)


def test_a_histogram_has_all_images_and_the_threshold_between_bins():
    found = Histogram.of(np.array([-9, 0, 0.999, 1.0, 99]), np.array([0.0, 0.05, 0.15, 0.5, 1.5]))
    assert found.top == 8
    assert (len(found.before), sum(found.before), sum(found.after)) == (90, 5, 5)
    assert (sum(found.before[:20]), sum(found.after[:20])) == (3, 4)
    assert found.highest == 2
