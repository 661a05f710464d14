"""Pixel metrics against a straightforward reference on all pixels, and by hand."""

import numpy as np
import pytest
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from onegauge.training.errors import DataError
from onegauge.training.evaluation import pixels
from onegauge.training.evaluation.pixels import FPR_LIMIT, enlarged, pixel_metrics

EXACT = 1e-9
Case = tuple[np.ndarray, list[np.ndarray], tuple[str, ...]]


def reference(scores: list[np.ndarray], masks: list[np.ndarray]) -> dict[str, float]:
    """All thresholds, one after the other, over all pixels."""
    flat = np.concatenate([s.ravel() for s in scores])
    truth = np.concatenate([m.ravel() for m in masks])
    precision, recall, _ = precision_recall_curve(truth, flat)
    regions = [
        scores[i][labels == r]
        for i, labels in enumerate(label(m, np.ones((3, 3)))[0] for m in masks)
        for r in range(1, labels.max() + 1)
    ]
    normal = flat[~truth]
    curve = [(0.0, 0.0)]
    for threshold in np.unique(flat)[::-1]:
        overlap = np.mean([np.mean(region >= threshold) for region in regions])
        curve.append((np.mean(normal >= threshold), overlap))
    rate, overlap = np.array(curve).T
    grid = np.append(rate[rate < FPR_LIMIT], FPR_LIMIT)
    height = np.append(overlap[rate < FPR_LIMIT], np.interp(FPR_LIMIT, rate, overlap))
    return {
        "pixel_auroc": roc_auc_score(truth, flat),
        "pixel_ap": average_precision_score(truth, flat),
        "pixel_f1_max": np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)),
        "aupro": np.trapezoid(height, grid) / FPR_LIMIT,
    }


def case(levels: float | None = None, size: int = 24, images: int = 9) -> Case:
    """Maps with blobs that are found in part; rounded to `levels` a unit they have many ties."""
    rng = np.random.default_rng(7)
    maps = rng.standard_normal((images, size, size))
    masks = []
    for row in range(images):
        mask = np.zeros((size, size), bool)
        if row % 3:
            mask[2:6, 3 : 5 + row] = True
            mask[15:19, 10:12] = True
            mask[19, 12] = True  # touches the second at a corner
        maps[row][mask] += rng.choice([0.5, 1.5, 3.0])
        masks.append(mask)
    if levels:
        maps = np.round(maps * levels) / levels
    return maps.astype(np.float32), masks, tuple("ab"[row % 2] for row in range(images))


def of(found: Case) -> dict[str, dict]:
    maps, masks, products = found
    return pixel_metrics(maps, masks.__getitem__, products)


@pytest.mark.parametrize("levels", [None, 8, 1])
def test_pooled_figures_are_those_of_all_pixels_ties_included(levels):
    maps, masks, _ = found = case(levels)
    assert of(found)["pooled"] == pytest.approx(reference(list(maps), masks), abs=EXACT)


def test_a_product_has_the_figures_of_its_own_pixels():
    maps, masks, products = found = case()
    report = of(found)
    for product in "ab":
        own = [row for row, name in enumerate(products) if name == product]
        expected = reference([maps[row] for row in own], [masks[row] for row in own])
        assert report["per_product"][product] == pytest.approx(expected, abs=EXACT)
    for metric, mean in report["product_mean"].items():
        of_each = [report["per_product"][product][metric] for product in "ab"]
        assert mean == pytest.approx(np.mean(of_each))


def test_merged_scores_and_small_chunks_stay_within_what_is_promised(monkeypatch):
    maps, masks, _ = found = case(images=20)
    expected = of(found)["pooled"]
    monkeypatch.setattr(pixels, "CHUNK", 500)
    assert of(found)["pooled"] == pytest.approx(expected, abs=EXACT)
    monkeypatch.setattr(pixels, "SCORES", 100)  # of several hundred distinct ones
    merged = of(found)["pooled"]
    assert merged == pytest.approx(reference(list(maps), masks), abs=2 / 100)
    assert merged != expected


def test_by_hand():
    """One row of pixels: a region of two, one of which is found before any normal pixel."""
    maps = np.array([[[9.0, 1.0, 5.0, 4.0, 3.0, 2.0]]], np.float32)
    mask = np.array([[True, True, False, False, False, False]])
    found = pixel_metrics(maps, lambda _: mask, ("part",))["pooled"]
    assert found["pixel_auroc"] == pytest.approx(0.5)  # 4 of 8 pairs in order
    assert found["pixel_ap"] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 6)
    assert found["pixel_f1_max"] == pytest.approx(2 / 3)
    assert found["aupro"] == pytest.approx(0.5)


def test_every_region_counts_the_same_however_large():
    maps = np.zeros((1, 10, 10), np.float32)
    mask = np.zeros((10, 10), bool)
    mask[:5, :5] = True  # found
    mask[9, 9] = True  # not found: below every normal pixel
    maps[0, :5, :5], maps[0, 9, 9] = 2, -1
    found = pixel_metrics(maps, lambda _: mask, ("part",))["pooled"]
    assert found["aupro"] == pytest.approx(1 / 2, abs=0.01)
    assert found["pixel_auroc"] == pytest.approx(25 / 26)


def test_maps_are_enlarged_to_the_size_of_each_mask():
    maps, masks, products = case()
    sizes = [(24, 24), (48, 36), (30, 24)]
    resized = [np.kron(m, np.ones((2, 2), bool)) for m in masks]
    uneven = [m[: sizes[i % 3][0], : sizes[i % 3][1]] for i, m in enumerate(resized)]
    scores = [enlarged(one, mask.shape) for one, mask in zip(maps, uneven, strict=True)]
    found = pixel_metrics(maps, uneven.__getitem__, products)["pooled"]
    assert found == pytest.approx(reference(scores, uneven), abs=EXACT)


def test_half_precision_is_read_as_it_is():
    maps, masks, products = case()
    half = maps.astype(np.float16)
    found = pixel_metrics(half, masks.__getitem__, products)["pooled"]
    assert found == pytest.approx(reference(list(half.astype(np.float32)), masks), abs=EXACT)


def test_enlarging_leaves_a_constant_map_constant():
    assert np.unique(enlarged(np.full((5, 7), np.float16(0.1)), (64, 50))).size == 1


def test_images_without_ground_truth_take_no_part():
    maps, masks, products = case()
    known = [row for row in range(len(masks)) if row != 4]
    found = pixel_metrics(maps, lambda row: None if row == 4 else masks[row], products)
    expected = pixel_metrics(
        maps[known], [masks[row] for row in known].__getitem__, [products[row] for row in known]
    )
    assert found == expected


def test_a_product_without_masks_or_without_defects_has_no_figures():
    maps, masks, _ = case()
    products = ("masks",) * 6 + ("none",) * 2 + ("good",)
    known = {**dict(enumerate(masks)), 6: None, 7: None, 8: np.zeros((24, 24), bool)}
    found = pixel_metrics(maps, known.__getitem__, products)
    assert found["per_product"]["none"] == found["per_product"]["good"] == {}
    assert found["product_mean"] == found["per_product"]["masks"]
    assert found["pooled"] != found["per_product"]["masks"]  # the normal pixels of `good` count


def test_without_any_mask_there_are_no_figures():
    maps, _, products = case()
    found = pixel_metrics(maps, lambda _: None, products)
    assert found["pooled"] == found["product_mean"] == {}


def test_a_map_that_is_no_number_is_an_error_and_not_a_figure():
    maps, masks, products = case()
    maps[3, 5, 5] = np.nan
    with pytest.raises(DataError, match="1 of 9 anomaly maps .* image 3, of product 'b'"):
        pixel_metrics(maps, masks.__getitem__, products)
