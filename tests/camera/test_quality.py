import cv2
import numpy as np
import pytest

from onegauge.camera.quality import USUAL_FROM, USUAL_OF, Bounds, Fault, Gate, look_at
from tests.camera.pictures import blurred, sharp


def problem(gate: Gate, frame: np.ndarray) -> str | None:
    _, fault = gate.judge(frame)
    return fault.problem if fault else None


def softer(number: int, pixels: float) -> np.ndarray:
    return cv2.GaussianBlur(sharp(number), (0, 0), pixels)


def at_work(bounds: Bounds | None = None) -> Gate:
    """A gate that knows what is usual."""
    gate = Gate(bounds or Bounds())
    assert [problem(gate, sharp(number)) for number in range(USUAL_FROM)] == [None] * USUAL_FROM
    return gate


@pytest.mark.parametrize(
    ("spoilt", "word"),
    [
        (blurred(100), "blurred"),
        (cv2.filter2D(sharp(100), -1, np.full((1, 25), 1 / 25)), "blurred"),
        (sharp(100) // 8, "underexposed"),
        (np.full_like(sharp(100), 255), "overexposed"),
        (sharp(USUAL_FROM - 1), "frozen"),
        (sharp(100), None),
    ],
    ids=["out of focus", "moved", "dark", "white", "as before", "good"],
)
def test_each_fault_has_its_problem(spoilt, word):
    assert problem(at_work(), spoilt) == word


def test_what_is_usual_is_not_known_from_the_first_frames():
    assert problem(Gate(Bounds(min_sharpness=0)), blurred(0)) is None
    assert problem(Gate(Bounds(min_sharpness=0.9)), sharp(0)) == "blurred"


def test_frames_that_are_refused_do_not_become_usual():
    gate = at_work()
    unsharp = [blurred(0), blurred(1)] * (USUAL_OF // 2)
    assert {problem(gate, frame) for frame in unsharp} == {"blurred"}


def test_what_is_usual_follows_what_is_let_through():
    gate = at_work(Bounds(usual_sharpness=0.6))
    assert problem(gate, softer(101, 1.5)) == "blurred"
    for frame in [softer(0, 1.0), softer(1, 1.0)] * (USUAL_OF // 2):
        assert problem(gate, frame) is None
    assert problem(gate, softer(101, 1.5)) is None


def test_each_bound_can_be_switched_off():
    gate = at_work(Bounds(0, 0, 0, 0, 1))
    dark, white = sharp(100) // 8, np.full_like(sharp(100), 255)
    assert [problem(gate, frame) for frame in (blurred(100), dark, white)] == [None] * 3


def test_a_frame_that_was_refused_is_a_frame_before():
    gate = at_work()
    assert [problem(gate, blurred(1)) for _ in range(2)] == ["blurred", "frozen"]


def test_one_other_pixel_is_another_frame():
    gate, other = at_work(), sharp(USUAL_FROM - 1).copy()
    other[0, 0, 0] += 1
    assert problem(gate, other) is None


def test_grey_and_16_bits_are_measured_as_colours_of_8_are():
    grey = cv2.cvtColor(sharp(0), cv2.COLOR_BGR2GRAY)
    expected = look_at(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    for frame in (grey, grey.astype(np.uint16) * 257):
        look = look_at(frame)
        assert look.sharpness == pytest.approx(expected.sharpness, rel=1e-3)
        assert look.highlights == pytest.approx(expected.highlights, abs=0.1)
        assert look.clipped == expected.clipped


def test_sharpness_does_not_depend_on_the_size():
    large = sharp(0, (960, 1280))
    assert look_at(large).sharpness == pytest.approx(
        look_at(cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)).sharpness, rel=0.05
    )


def test_how_bad_it_is_is_told():
    assert at_work().judge(np.full_like(sharp(0), 255))[1] == Fault("overexposed", 1.0)
