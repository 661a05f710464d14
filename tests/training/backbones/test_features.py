import numpy as np
import pytest
import torch

from onegauge.training.backbones.features import Features, FeatureWriter, Seen, reopen


def numbered(images: int) -> Features:
    """Images and two stages in which every value is the number of the image."""
    fine, coarse = np.zeros((images, 2, 4, 4), np.float16), np.zeros((images, 3, 2, 2), np.float16)
    fine += np.arange(images).reshape(-1, 1, 1, 1)
    coarse += np.arange(images).reshape(-1, 1, 1, 1)
    pixels = np.zeros((images, 8, 8, 3), np.uint8) + np.arange(images).astype(np.uint8).reshape(
        -1, 1, 1, 1
    )
    return Features(pixels, [fine, coarse], torch.device("cpu"))


def numbers(seen: Seen) -> list[float]:
    image, fine, coarse = (part[:, 0, 0, 0].tolist() for part in (seen.image, *seen.stages))
    assert image == fine == coarse
    return image


def test_a_batch_comes_in_the_order_asked_for():
    batch = numbered(6).batch([4, 0, 5, 2])
    assert numbers(batch) == [4, 0, 5, 2]
    assert [tuple(stage.shape[1:]) for stage in batch.stages] == [(2, 4, 4), (3, 2, 2)]
    assert batch.image.dtype == torch.uint8
    assert {stage.dtype for stage in batch.stages} == {torch.float32}


def test_all_batches_give_every_image_once():
    rows, values = [], []
    for part, batch in numbered(7).batches(3):
        rows += range(part.start, part.stop)
        values += numbers(batch)
    assert rows == values == list(range(7))


def test_a_subset_of_a_subset_is_numbered_anew():
    subset = numbered(10).subset(np.array([8, 1, 6, 3]))
    assert len(subset) == 4
    assert numbers(subset.batch([0, 2])) == [8, 6]
    inner = subset.subset(np.array([3, 0]))
    assert len(inner) == 2
    assert numbers(inner.batch([0, 1])) == [3, 8]


@pytest.mark.parametrize("before", [0, 1200])
def test_what_was_written_in_batches_is_reopened_without_what_was_there_before(tmp_path, before):
    for images in (before, 101):
        writer = FeatureWriter(tmp_path)
        for _, batch in numbered(images).batches(2):
            writer.write(batch)
    reopened = reopen(tmp_path, np.arange(101), torch.device("cpu"))
    assert len(reopened) == len(reopened.images) == 101
    assert numbers(reopened.batch(range(101))) == [*range(101)]
