from time import thread_time

import numpy as np
import pytest

from onegauge.service.inspection.regions import Region, find_regions


def test_regions_are_in_original_pixels_with_the_highest_peak_first():
    anomaly_map = np.zeros((8, 12), np.float32)
    anomaly_map[0, 0:3] = 1.0
    anomaly_map[6:8, 10:12] = 1.25
    anomaly_map[7, 11] = 1.5
    assert find_regions(anomaly_map, 1.0, (120, 40)) == [
        Region(box=(100, 30, 20, 10), area=200, peak=1.5, mean=1.3125, peak_at=(7, 11)),
        Region(box=(0, 0, 30, 5), area=150, peak=1.0, mean=1.0, peak_at=(0, 0)),
    ]


def test_pixels_that_touch_by_a_corner_are_one_region():
    anomaly_map = np.eye(4, dtype=np.float32)
    (region,) = find_regions(anomaly_map, 1.0, (4, 4))
    assert (region.box, region.area) == ((0, 0, 4, 4), 4)


def test_a_ring_is_one_region_and_its_middle_another():
    anomaly_map = np.ones((5, 5), np.float32)
    anomaly_map[1:4, 1:4] = 0
    anomaly_map[2, 2] = 2
    areas = [region.area for region in find_regions(anomaly_map, 1.0, (5, 5))]
    assert areas == [1, 16]


def flooded(mask: np.ndarray) -> list[int]:
    """Sizes of the components of a mask, pixel by pixel."""
    left, sizes = set(map(tuple, np.argwhere(mask).tolist())), []
    while left:
        found = [left.pop()]
        for y, x in found:
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            found.extend(near)
        sizes.append(len(found))
    return sorted(sizes)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.35, 0.5, 0.9, 1.0])
def test_regions_are_the_components_whatever_their_shape(share):
    for seed in range(20):
        mask = np.random.default_rng(seed).random((23, 31)) < share
        regions = find_regions(mask.astype(np.float32), 1.0, (31, 23))
        assert sorted(region.area for region in regions) == flooded(mask)


def test_boxes_cover_their_pixels_and_stay_inside_a_small_image():
    anomaly_map = np.zeros((8, 12), np.float32)
    anomaly_map[7, 11] = 1
    (region,) = find_regions(anomaly_map, 1.0, (1, 1))
    assert (region.box, region.area) == ((0, 0, 1, 1), 1)


def test_no_pixel_at_the_threshold_no_region():
    assert find_regions(np.full((4, 4), 0.99, np.float32), 1.0, (4, 4)) == []


def test_boxes_end_exactly_at_the_border_whatever_the_size():
    anomaly_map = np.zeros((7, 9), np.float32)
    anomaly_map[6, 8] = 1
    for side in range(1, 300):
        (region,) = find_regions(anomaly_map, 1.0, (side, side + 1))
        left, top, width, height = region.box
        assert (left + width, top + height) == (side, side + 1)


def enclosed(polygon: list[tuple[float, float]]) -> float:
    """Area of a polygon by the shoelace formula, with its sign."""
    x, y = np.array(polygon).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def test_contours_are_closed_and_run_where_the_map_crosses_the_level():
    anomaly_map = np.zeros((8, 12), np.float32)
    anomaly_map[3:5, 4:7] = 2.0
    (region,) = find_regions(anomaly_map, 1.0, (120, 80), contours=True)
    (contour,) = region.contours
    assert contour[0] == contour[-1]
    # half-way between the centres of the pixels, which are 10 apart
    assert (min(x for x, _ in contour), max(x for x, _ in contour)) == (40, 70)
    assert (min(y for _, y in contour), max(y for _, y in contour)) == (30, 50)
    assert region.area * 0.8 < abs(enclosed(contour)) <= region.area


def test_contours_of_a_region_leave_the_others_out_and_go_round_its_holes():
    anomaly_map = np.zeros((9, 9), np.float32)
    anomaly_map[0:5, 0:5] = 2.0
    anomaly_map[2, 2] = 0.0
    anomaly_map[7, 7] = 3.0
    spot, ring = find_regions(anomaly_map, 1.0, (9, 9), contours=True)
    (contour,) = spot.contours
    assert all(x > 6 and y > 6 for x, y in contour)
    outer, hole = sorted(ring.contours, key=lambda polygon: -abs(enclosed(polygon)))
    assert all(x <= 5.5 and y <= 5.5 for x, y in outer)
    assert all(1 < x < 4 and 1 < y < 4 for x, y in hole)
    assert enclosed(outer) * enclosed(hole) < 0, "holes run the other way round"


def test_contour_of_a_part_that_is_cut_off_runs_along_the_border():
    (region,) = find_regions(np.full((4, 4), 2, np.float32), 1.0, (40, 40), contours=True)
    (contour,) = region.contours
    assert abs(enclosed(contour)) > 0.95 * 40 * 40


def test_contours_of_a_map_that_is_just_at_the_level():
    (region,) = find_regions(np.full((4, 4), 1, np.float32), 1.0, (40, 40), contours=True)
    assert len(region.contours) == 1


def test_no_contours_unless_asked_for():
    (region,) = find_regions(np.full((4, 4), 2, np.float32), 1.0, (40, 40))
    assert region.contours == []


def test_outlines_cost_what_their_regions_are_large_and_not_what_the_map_is():
    def seconds(*, contours: bool) -> float:
        begun = thread_time()
        assert len(find_regions(spots, 1.0, (1024, 1024), contours=contours)) == 64
        return thread_time() - begun

    spots = np.zeros((1024, 1024), np.float32)
    spots[::128, ::128] = 2
    assert min(seconds(contours=True) for _ in range(3)) < 20 * seconds(contours=False)


def test_outlines_are_those_of_a_map_of_the_region_alone():
    anomaly_map = np.random.default_rng(0).normal(0, 1, (12, 20)).astype(np.float32)
    for region in find_regions(anomaly_map, 0.5, (200, 120), contours=True):
        left, top, width, height = (side // 10 for side in region.box)
        alone = np.full_like(anomaly_map, -9)
        place = np.s_[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]
        alone[place] = anomaly_map[place]
        same = find_regions(alone, 0.5, (200, 120), contours=True)
        assert region in same
