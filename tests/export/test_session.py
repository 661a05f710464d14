import numpy as np

from onegauge.export.session import Session


def test_outputs_are_those_of_all_batches_in_the_order_asked(gauge_model):
    grey = np.array([32, 64, 96], np.uint8)
    images = np.broadcast_to(grey[:, None, None, None], (3, 32, 48, 3))
    batches = ({"image": batch} for batch in np.split(images, [2]))
    score, raw_score = Session(gauge_model).outputs(("score", "raw_score"), batches)
    np.testing.assert_allclose(score, grey / 128)
    np.testing.assert_allclose(raw_score, grey / 64)
