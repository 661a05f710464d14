import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from demo.products import PRODUCTS
from demo.products.camera import Camera
from onegauge.service.imaging.tiles import Tile, Tiling
from onegauge.training.data.copies import near_copies, print_of, require_difference
from onegauge.training.data.dataset import Picture
from onegauge.training.errors import DataError
from onegauge.training.progress import Progress

SIDE = 96


def shot(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture uint8 (S, S, 3) of a scene 0..1 that lies a little elsewhere, in other light."""
    moved = shift(scene, (*rng.uniform(-1.5, 1.5, 2), 0), order=1, mode="nearest")
    camera = Camera.draw(rng, SIDE)
    return camera.develop(camera.expose(moved))


def grained(rng: np.random.Generator) -> np.ndarray:
    """A surface (S, S, 3) with the grain of one part."""
    grain = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 1.5)
    return np.clip(0.5 + 0.3 * grain / grain.std(), 0, 1)[..., None].repeat(3, 2)


def rendered(product: str, rng: np.random.Generator) -> np.ndarray:
    return PRODUCTS[product].draw(rng, SIDE).image


def prints_of(pictures: list[np.ndarray]) -> np.ndarray:
    whole = (Tile(0, 0, SIDE, SIDE),)
    return np.stack([print_of(Picture(p[np.newaxis], SIDE, SIDE, whole, "")) for p in pictures])


def groups_of(prints: np.ndarray) -> list[int]:
    """The groups that are found among images that all look alike."""
    looks = np.random.default_rng(0).standard_normal((len(prints), 3)).astype(np.float32)
    return near_copies(prints, looks, Progress()).tolist()


@pytest.mark.parametrize("product", ["grained", "wood", "tile", "metal"])
def test_shots_of_a_part_are_found_and_parts_stay_apart(product):
    rng = np.random.default_rng(0)
    draw = (lambda: grained(rng)) if product == "grained" else lambda: rendered(product, rng)
    scenes = [draw() for _ in range(10)]
    several = prints_of([shot(scene, rng) for scene in scenes for _ in range(5)])
    assert groups_of(several) == np.repeat(np.arange(10), 5).tolist()
    single = prints_of([shot(scene, rng) for scene in scenes])
    assert groups_of(single) == list(range(10))


def test_a_few_shots_among_many_single_ones_are_found():
    rng = np.random.default_rng(1)
    pictures = [shot(grained(rng), rng) for _ in range(20)]
    scene = grained(rng)
    prints = prints_of([*pictures, shot(scene, rng), shot(scene, rng)])
    assert groups_of(prints) == [*range(21), 20]


def test_parts_that_differ_no_more_than_their_shots_do_stay_apart():
    rng = np.random.default_rng(2)
    design = grained(rng)  # printed, the same on each part
    assert groups_of(prints_of([shot(design, rng) for _ in range(24)])) == list(range(24))


@pytest.mark.parametrize(("shots", "told"), [(10, ""), (12, "warning: 36 images are each as like")])
def test_more_shots_than_are_told_from_equal_parts_are_said(shots, told, capsys):
    rng = np.random.default_rng(2)
    scenes = [grained(rng) for _ in range(3)]
    groups = groups_of(prints_of([shot(scene, rng) for scene in scenes for _ in range(shots)]))
    assert len(set(groups)) == (36 if told else 3)
    said = capsys.readouterr().err
    assert told in said
    assert bool(told) == ("--group-by" in said)


def test_parts_that_have_something_in_common_stay_apart():
    rng = np.random.default_rng(6)
    marks = [grained(rng) for _ in range(10)]  # as of one batch
    scenes = [(mark + grained(rng)) / 2 for mark in marks for _ in range(2)]
    assert groups_of(prints_of([shot(scene, rng) for scene in scenes])) == list(range(20))


@pytest.mark.parametrize("images", [1, 2])
def test_a_picture_or_two_are_no_copies(images):
    rng = np.random.default_rng(3)
    prints = prints_of([shot(grained(rng), rng) for _ in range(images)])
    assert groups_of(prints) == list(range(images))


def test_one_colour_tells_nothing_of_the_part():
    grey = np.stack([np.full((64, 64), value, np.uint8) for value in range(12)])
    assert len(set(groups_of(grey))) == 12


def test_a_picture_that_is_cut_has_the_print_of_the_whole():
    pixels = shot(grained(np.random.default_rng(4)), np.random.default_rng(5))
    places = Tiling(48, 16).tiles(SIDE, SIDE)
    tiles = [pixels[b.top : b.top + 48, b.left : b.left + 48] for b in places]
    large = [tile.repeat(2, 0).repeat(2, 1) for tile in tiles]  # as the model sees them
    cut = print_of(Picture(np.stack(large), SIDE, SIDE, tuple(places), ""))
    assert len(places) == 9
    assert np.array_equal(cut, prints_of([pixels])[0])


def test_frames_of_nothing_but_noise_are_refused():
    dark = np.random.default_rng(0).normal(4, 1, (12, 128, 128)).clip(0, 255).astype(np.uint8)
    with pytest.raises(DataError, match="12 different images show the same"):
        require_difference(dark)
    dark[3, 40:60, 40:60] += 40
    require_difference(dark)


def test_equal_parts_that_lie_anywhere_stay_apart():
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:64, :64]
    prints = []
    for top, left in rng.uniform(18, 46, (60, 2)):
        ring = np.exp(-((np.hypot(y - top, x - left) - 10) ** 2) / 8)
        prints.append((80 + 100 * ring + rng.normal(0, 2, ring.shape)).astype(np.uint8))
    groups = groups_of(np.stack(prints))
    assert len(set(groups)) >= 54
