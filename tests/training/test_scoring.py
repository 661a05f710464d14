import numpy as np
import pytest
import torch
from PIL import Image

from training.errors import DataError
from training.scoring import Scoring, at_map_size, read_mask

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


def test_a_mask_is_white_where_to_inspect_at_any_size(tmp_path):
    picture = Image.new("L", (80, 40))
    picture.paste(255, (40, 0, 80, 40))
    picture.save(tmp_path / "mask.png")
    inspected = at_map_size(read_mask(tmp_path / "mask.png"), (4, 8))
    assert inspected.tolist() == [[False] * 4 + [True] * 4] * 4


def test_a_pixel_counts_where_half_of_it_is_white():
    mask = np.zeros((2, 4), np.float32)
    mask[:, 0] = mask[0, 3] = 1
    assert at_map_size(mask, (1, 2)).tolist() == [[True, False]]


def test_masks_that_leave_nothing_are_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(DataError, match="black.png is black: paint white"):
        read_mask(tmp_path / "black.png")
    mask = np.zeros((100, 100), np.float32)
    mask[50, 50] = 1
    with pytest.raises(DataError, match="no pixel of the 4 x 4 map"):
        at_map_size(mask, (4, 4))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="text.png cannot be read"):
        read_mask(tmp_path / "text.png")
