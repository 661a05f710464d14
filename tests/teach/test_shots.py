import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from onegauge.library.library import Library, Origin, Rates
from onegauge.library.thumbnails import thumbnail
from onegauge.service.imaging.tiles import Tiling
from onegauge.teach.shots import Shots, shown_parts
from onegauge.training.data.copies import print_of
from onegauge.training.data.dataset import Picture
from onegauge.training.progress import Progress

SIDE = 160
TILING = Tiling(96, 32)
TILES = TILING.tiles(SIDE, SIDE)
OF_A_ROW = {
    "maps": np.zeros((1, 2, 2), np.float16),
    "quarters": np.zeros((1, 4, 3), np.float32),
    "oddness": np.zeros(1, np.float32),
    "memories": np.zeros((1, 2, 3), np.int8),
    "usual": np.ones((1, 2), np.float16),
    "places": np.zeros((1, 2), np.int32),
}


def scenes(count: int) -> np.ndarray:
    """Surfaces (N, S, S), each with the grain of a part."""
    grain = np.random.default_rng(0).standard_normal((count, SIDE, SIDE))
    return np.stack([128 + 40 * g / g.std() for g in (gaussian_filter(s, 2) for s in grain)])


def picture(scene: np.ndarray, light: float = 1) -> Picture:
    """A scene, a little elsewhere in other light, in tiles."""
    moved = np.roll(scene, 1 if light != 1 else 0, 0) * light
    pixels = moved.clip(0, 255).astype(np.uint8)[..., None].repeat(3, 2)
    cut = [pixels[t.top : t.top + 96, t.left : t.left + 96] for t in TILES]
    return Picture(np.stack(cut), SIDE, SIDE, tuple(TILES), "")


def rows_of(pictures: list[Picture]) -> dict[str, object]:
    """What a library has of the tiles of some pictures."""
    count = sum(map(len, pictures))
    looks = np.random.default_rng(1).standard_normal((count, 3)).astype(np.float32)
    return {
        **{name: one.repeat(count, 0) for name, one in OF_A_ROW.items()},
        "deviations": looks,
        "thumbnails": tuple(thumbnail(tile) for one in pictures for tile in one.pixels),
        "pictures": np.repeat(np.arange(len(pictures)), [len(one) for one in pictures]),
        "origins": (Origin("a.png", "", SIDE, SIDE, 0),) * len(pictures),
    }


def known(pictures: list[Picture]) -> Library:
    """A library of pictures, which show the parts 10, 11, …; of the last a tile is no reference."""
    rows = rows_of(pictures)
    numbers = rows["pictures"]
    rows["oddness"], rows["memories"], rows["usual"], rows["places"], rows["thumbnails"] = (
        rows[name][:-1] for name in ("oddness", "memories", "usual", "places", "thumbnails")
    )
    return Library(
        **rows,
        parts=10 + numbers,
        groups=numbers,
        own=np.stack([numbers, numbers], 1),
        references=np.arange(len(numbers) - 1),
        held_out=np.arange(len(numbers)),
        products=("part",) * len(numbers),
        rates=Rates(0.05, 0.001, 0.01),
    )


def parts_of(shown: list[Picture], library: Library | None) -> list[int]:
    rows = rows_of(shown)
    new = Shots(*(rows[name] for name in ("thumbnails", "pictures", "origins")))
    prints = np.stack([print_of(one) for one in shown])
    return shown_parts(library, new, prints, TILING, Progress()).tolist()


def test_shots_are_told_among_new_pictures_and_beside_references_of_which_all_tiles_are_there():
    old = scenes(16)
    library = known([picture(scene) for scene in old[:12]])
    shown = [(12, 1), (3, 0.9), (12, 1.1), (11, 0.9), (13, 1)]
    found = parts_of([picture(old[number], light) for number, light in shown], library)
    assert found == [22, 13, 22, 23, 24]


def test_two_shots_that_come_alone_are_told_beside_the_references(capsys):
    old = scenes(13)
    library = known([picture(scene) for scene in old[:12]])
    assert parts_of([picture(old[12]), picture(old[12], 1.1)], library) == [22, 22]
    assert "2 of 2 images are near-copies of each other, and 0 of" in capsys.readouterr().err


@pytest.mark.parametrize(("many", "again"), [(12, 3), (90, 70)])
def test_shots_are_told_where_no_library_is_kept_also_among_many(many, again):
    old = scenes(many)
    found = parts_of([*map(picture, old), picture(old[again], 0.9)], None)
    assert found == [*range(many), again]


def test_pictures_of_parts_of_their_own_are_no_near_copies(capsys):
    old = scenes(15)
    library = known([picture(scene) for scene in old[:12]])
    assert parts_of([picture(scene, 0.9) for scene in old[12:]], library) == [22, 23, 24]
    assert "near-copies of" not in capsys.readouterr().err
