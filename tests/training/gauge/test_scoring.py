from pathlib import Path

import pytest
import torch
from PIL import Image

from onegauge.training.errors import DataError
from onegauge.training.gauge.scoring import Scoring, inspected_part

MAPS = torch.stack([torch.arange(16.0), torch.arange(1.0, 17.0).flip(0)]).view(2, 4, 4)


@pytest.mark.parametrize(
    ("share", "score"), [(0.0, 16.0), (0.01, 16.0), (0.25, (16 + 15 + 14 + 13) / 4), (1.0, 8.5)]
)
def test_the_image_score_is_the_mean_of_the_highest_share_of_pixels(share, score):
    assert Scoring(share)(MAPS).tolist() == pytest.approx([score - 1, score])


def test_pixels_that_do_not_count_change_nothing():
    inspected = torch.zeros(4, 4, dtype=torch.bool)
    inspected[1:3] = True  # 4..11 of the first map
    scoring = Scoring(0.25, inspected)
    assert scoring.pixels(MAPS) == 2
    assert scoring(MAPS)[0] == (11 + 10) / 2
    changed = torch.where(inspected, MAPS, 1000.0)
    assert torch.equal(scoring(changed), scoring(MAPS))
    assert torch.equal(scoring.blank(changed), torch.where(inspected, MAPS, 0.0))


def mask(folder: Path, size: tuple[int, int], *white: tuple[int, int, int, int]) -> Path:
    """A picture that is white in boxes of x, y, x, y."""
    picture = Image.new("L", size)
    for box in white:
        picture.paste(255, box)
    picture.save(folder / "mask.png")
    return folder / "mask.png"


def test_a_mask_is_white_where_to_inspect_at_any_size(tmp_path):
    inspected = inspected_part(mask(tmp_path, (80, 40), (40, 0, 80, 40)), 4)
    assert inspected.tolist() == [[False] * 2 + [True] * 2] * 4


def test_a_pixel_counts_where_half_of_it_is_white(tmp_path):
    file = mask(tmp_path, (4, 4), (0, 0, 1, 2), (2, 0, 3, 1))
    assert inspected_part(file, 2).tolist() == [[True, False], [False, False]]


def test_masks_that_leave_nothing_are_refused(tmp_path):
    for white in ((), ((50, 50, 51, 51),)):
        with pytest.raises(DataError, match="mask.png leaves nothing to inspect: paint white"):
            inspected_part(mask(tmp_path, (100, 100), *white), 4)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="text.png cannot be read"):
        inspected_part(tmp_path / "text.png", 4)
