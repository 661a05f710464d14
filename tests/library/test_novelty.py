import numpy as np
import pytest

from onegauge.library.errors import LibraryError
from onegauge.library.novelty import Neighbourhood


def shots(parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of five shots of each part, which hardly differ, and the parts."""
    rng = np.random.default_rng(0)
    each = np.repeat(rng.normal(0, 1, (parts, 6)), 5, axis=0)
    jitter = rng.normal(0, 1e-3, each.shape)
    return (each + jitter).astype(np.float32), np.repeat(np.arange(parts), 5)


def test_what_is_usual_of_an_image_is_its_distance_to_other_parts():
    descriptors, parts = shots(12)
    together = Neighbourhood.of(descriptors, parts).usual
    # told as parts of their own, four of the five nearest of an image are its other shots
    alone = Neighbourhood.of(descriptors, np.arange(len(parts))).usual
    assert (together > 3 * alone).all()


def test_an_image_is_not_its_own_neighbour():
    descriptors, parts = shots(12)
    measure, own = Neighbourhood.of(descriptors, parts), np.stack([parts, parts], 1)
    left_out = measure(descriptors, parts, own)
    new = measure(descriptors, parts, np.full_like(own, -1))
    assert left_out.min() > 0.5
    assert new.max() < 0.01


def test_images_of_hardly_more_than_one_part_are_refused():
    with pytest.raises(LibraryError, match="all but 1 of the 6"):
        Neighbourhood.of(np.eye(6, dtype=np.float32), np.array([0, 0, 0, 0, 0, 1]))
