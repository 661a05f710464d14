from bench.anomalib import speed


def rows(**of: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Milliseconds and pooled AUROC of each."""
    return {
        who.replace("_", " ", 1).replace("_", "-"): {"ms": ms, "pooled_auroc": auroc}
        for who, (ms, auroc) in of.items()
    }


THERE = {"anomalib_openvino": (40, 88.0), "anomalib_torch": (50, 89.0)}


def test_speed_is_that_of_the_fastest_precision_beside_the_fastest_inferencer():
    here = {"onegauge_patchcore": (20, 88.5), "onegauge_patchcore_int8": (10, 88.0)}
    assert speed(rows(**THERE, **here), "patchcore") == 4


def test_what_ranks_worse_or_is_another_detector_does_not_count():
    here = {"onegauge_patchcore": (20, 88.5), "onegauge_patchcore_int8": (10, 87.9)}
    others = {"onegauge_gallery": (5, 95.0)}
    assert speed(rows(**THERE, **here, **others), "patchcore") == 2
    assert speed(rows(**THERE, onegauge_patchcore=(20, 87.0)), "patchcore") == 0
