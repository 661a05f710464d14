import numpy as np
import pytest

from onegauge.library.errors import LibraryError
from onegauge.library.likeness import AT_A_TIME
from onegauge.library.novelty import Novelty


def shots(parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors (N, 4, 6) of five shots of each part, which hardly differ, and the parts."""
    rng = np.random.default_rng(0)
    each = np.repeat(rng.normal(0, 1, (parts, 4, 6)), 5, axis=0)
    jitter = rng.normal(0, 1e-3, each.shape)
    return (each + jitter).astype(np.float32), np.repeat(np.arange(parts), 5)


def everything(count: int, among: int) -> np.ndarray:
    """All of a library as the neighbours of each of some images."""
    return np.tile(np.arange(among), (count, 1))


def test_what_is_usual_of_an_image_is_its_distance_to_other_parts():
    descriptors, parts = shots(12)
    all_of_them = everything(60, 60)
    together = Novelty.of(descriptors, parts, all_of_them).usual
    # told as parts of their own, half of those nearest to an image are its other shots
    alone = Novelty.of(descriptors, np.arange(len(parts)), all_of_them).usual
    assert (together > 1.5 * alone).all()


def test_an_image_is_not_its_own_neighbour():
    descriptors, parts = shots(12)
    all_of_them = everything(60, 60)
    measure, own = Novelty.of(descriptors, parts, all_of_them), np.stack([parts, parts], 1)
    left_out = measure(descriptors, all_of_them, own)
    new = measure(descriptors, all_of_them, np.full_like(own, -1))
    assert left_out.min() > 0.5
    assert (new < 0.6 * left_out).all()


def test_only_neighbours_count():
    descriptors, parts = shots(12)
    measure = Novelty.of(descriptors, parts, everything(60, 60))
    far, near = np.arange(10, 20)[None], np.arange(10)[None]
    image, new = descriptors[:1], np.array([[-1, -1]])
    assert measure(image, far, new) > 1.5 * measure(image, near, new)


def test_as_many_images_as_there_are_give_what_each_gives_alone():
    descriptors, parts = shots(12)
    measure = Novelty.of(descriptors, parts, everything(60, 60))
    count = AT_A_TIME + 3
    many = np.resize(descriptors, (count, 4, 6))
    new = np.full((count, 2), -1)
    found = measure(many, everything(count, 60), new)
    alone = measure(descriptors[:3], everything(3, 60), new[:3])
    assert np.allclose(found[60:63], alone, rtol=1e-5)
    assert np.allclose(found[-1], measure(many[-1:], everything(1, 60), new[:1]), rtol=1e-5)


def test_images_of_hardly_more_than_one_part_are_refused():
    with pytest.raises(LibraryError, match="all but 1 of the 6"):
        Novelty.of(
            np.random.default_rng(0).normal(size=(6, 4, 6)).astype(np.float32),
            np.array([0, 0, 0, 0, 0, 1]),
            everything(6, 6),
        )
