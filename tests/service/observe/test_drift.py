import random
import sys
from collections.abc import Callable
from math import inf
from threading import Event, Thread
from types import FrameType

from onegauge.service.model.contract import Contract
from onegauge.service.observe.drift import (
    CHANCE,
    WINDOW,
    Drift,
    Reference,
    flagged_bound,
    ks_bound,
)

CALIBRATION, RATE = 199, 0.05


def contract(version: str = "1", **parameters: str) -> Contract:
    known = {"calibration_images": str(CALIBRATION), "false_alarm_rate": str(RATE)}
    return Contract("gauge", version, 8, 8, 2, 2, 2, "onnxruntime", known | parameters)


def produced(rng: random.Random, shift: float = 0.0, spoilt: float = 0.0) -> list[float]:
    """p-values of a window on a line whose scores have moved, or a share of whose parts is bad."""
    calibration = [rng.gauss(0, 1) for _ in range(CALIBRATION)]
    scores = [rng.gauss(6 if rng.random() < spoilt else shift, 1) for _ in range(WINDOW)]
    return [(1 + sum(c >= score for c in calibration)) / (CALIBRATION + 1) for score in scores]


def shown(drift: Drift) -> dict[tuple[str, str], float]:
    samples = (sample for family in drift.collect() for sample in family.samples)
    return {(s.labels["line"], s.name.removeprefix("onegauge_drift_")): s.value for s in samples}


def beyond(p_values: list[float]) -> tuple[bool, bool]:
    found = Reference(CALIBRATION, RATE).figures(p_values)
    return (
        found["ks_distance"] > found["ks_bound"],
        found["flagged_ratio"] > found["flagged_bound"],
    )


def test_normal_production_stays_within_its_bounds():
    rng = random.Random(0)
    windows = [beyond(produced(rng)) for _ in range(300)]
    assert sum(ks for ks, _ in windows) <= 2
    assert sum(flagged for _, flagged in windows) <= 2


def test_dirty_camera_shows_in_the_distribution_before_it_shows_in_the_decisions():
    rng = random.Random(1)
    windows = [beyond(produced(rng, shift=0.6)) for _ in range(20)]
    assert sum(ks for ks, _ in windows) >= 19
    assert sum(flagged for _, flagged in windows) < 19


def test_bad_parts_show_in_the_share_that_is_flagged():
    rng = random.Random(2)
    assert all(beyond(produced(rng, spoilt=0.2))[1] for _ in range(20))


def test_bound_of_the_flagged_share_is_that_of_a_beta_binomial():
    exact = [0, 0]
    rng, images, calibration, rate = random.Random(3), 60, 99, 0.1
    bound = flagged_bound(images, calibration, rate)
    for _ in range(20_000):
        chance = rng.betavariate(10, 90)
        flagged = sum(rng.random() < chance for _ in range(images))
        exact[0] += flagged / images > bound
        exact[1] += flagged / images > bound - 1 / images
    assert exact[0] / 20_000 <= 2 * CHANCE < exact[1] / 20_000 + CHANCE
    assert bound > rate


def test_a_model_that_cannot_flag_has_no_flagged_images():
    assert flagged_bound(50, 9, 0.01) == 0.0
    assert ks_bound(0, 9) == inf


def test_windows_are_bounded_and_by_line():
    drift = Drift()
    drift.serves(contract())
    for _ in range(WINDOW + 100):
        drift.observe("a", 0.5)
    drift.observe("b", 0.005)
    found = shown(drift)
    assert found["a", "images"] == WINDOW
    assert found["a", "flagged_ratio"] == 0
    assert found["b", "flagged_ratio"] == 1


def test_another_model_begins_with_empty_windows():
    drift = Drift()
    drift.serves(contract("1"))
    drift.observe("a", 0.5)
    drift.serves(contract("1"))
    assert shown(drift)["a", "images"] == 1
    drift.serves(contract("2"))
    assert shown(drift) == {}


def test_a_model_that_does_not_say_how_it_was_calibrated_has_no_drift():
    drift = Drift()
    drift.serves(contract(calibration_images="?"))
    drift.observe("a", 0.5)
    assert shown(drift) == {}


def test_figures_can_be_collected_at_each_step_of_the_first_image_of_a_line():
    drift, found = Drift(), []
    drift.serves(contract())

    def collect(frame: FrameType, *_: object) -> Callable[..., object]:
        """As another thread may, between any two instructions."""
        frame.f_trace_opcodes = True
        found.append(shown(drift))
        return collect

    before = sys.gettrace()
    sys.settrace(collect)
    try:
        drift.observe("a", 0.5)
    finally:
        sys.settrace(before)
    assert found[0] == {}
    assert shown(drift)["a", "images"] == 1


def test_figures_are_collected_while_images_are_observed():
    drift, others = Drift(), Event()
    drift.serves(contract())
    for _ in range(WINDOW):
        drift.observe("line 0", 0.5)

    def observe() -> None:
        for number in range(50_000):
            drift.observe(f"line {number // 1000}", 0.5)
            drift.observe("line 0", 0.5)
        others.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    line = Thread(target=observe)
    line.start()
    try:
        while not others.is_set():
            assert shown(drift)["line 0", "images"] == WINDOW
    finally:
        sys.setswitchinterval(interval)
        line.join()
