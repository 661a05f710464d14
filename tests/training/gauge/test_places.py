import numpy as np
import pytest
import torch

from onegauge.training.backbones.features import Features
from onegauge.training.gauge.places import COMPONENTS, GRID, Places
from onegauge.training.progress import Progress

CHANNELS = (8, 16, 32)


def features(images: int, side: int = 64) -> Features:
    """Random features, the finest stage of `side`."""
    rng = np.random.default_rng(0)
    sides = (side, side // 2, side // 4)
    stages = [
        rng.random((images, c, s, s)).astype(np.float16)
        for c, s in zip(CHANNELS, sides, strict=True)
    ]
    return Features(np.zeros((images, 1, 1, 3), np.uint8), stages, torch.device("cpu"))


def fitted(store: Features) -> Places:
    places = Places(sum(CHANNELS))
    places.fit(store)
    return places


@pytest.mark.parametrize("side", [24, 64, 128])
def test_every_image_size_is_seen_on_the_same_grid(side):
    store = features(3, side)
    assert fitted(store)(store.batch(range(3)).stages).shape == (3, COMPONENTS, GRID, GRID)


def test_rounding_keeps_distances():
    store = features(12)
    places = fitted(store)
    exact, rounded = (
        places(store.batch(range(12)).stages),
        places.compact(store, Progress()).float(),
    )
    assert rounded.abs().max() < 127  # nothing is cut off
    one, other = exact[:6] - exact[6:], rounded[:6] - rounded[6:]
    change = one.square().sum(1).sqrt() / other.square().sum(1).sqrt()
    assert float((change - 1).abs().max()) < 0.1


def test_components_are_centred_and_the_strongest_come_first():
    store = features(40)
    seen = fitted(store)(store.batch(range(40)).stages)
    spread = seen.std((0, 2, 3))
    assert float(seen.mean((0, 2, 3)).abs().max()) < 0.05 * float(spread[0])
    assert (spread.diff() < 0.05 * spread[0]).all()


def test_what_changes_at_one_place_is_seen_there_alone():
    store = features(4)
    places, batch = fitted(store), store.batch([0]).stages
    before = places(batch)
    batch[0][:, :, 20:24, 40:44] += 5
    changed = (places(batch) - before).abs().amax(1)[0] > 1e-3
    assert changed.nonzero().tolist() == [[5, 10]]
