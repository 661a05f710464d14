import pytest

from onegauge.camera.freshness import LATE_S, Freshness

STEP = 0.04  # seconds between frames


def fresh_ones(frames: list[tuple[float, float]]) -> list[int]:
    """Numbers of the frames that are fresh, by when each came and its time stamp."""
    freshness = Freshness()
    return [number for number, frame in enumerate(frames) if freshness.is_fresh(*frame)]


def test_what_was_buffered_before_the_first_frame_is_not_fresh():
    buffered = [(10 + 0.001 * n, STEP * n) for n in range(25)]
    live = [(10 + STEP * (n - 24), STEP * n) for n in range(25, 30)]
    assert fresh_ones(buffered + live) == list(range(26, 30))


def test_what_came_late_after_a_pause_is_not_fresh():
    before = [(STEP * n, STEP * n) for n in range(10)]
    burst = [(3 + 0.001 * n, STEP * n) for n in range(10, 75)]
    live = [(STEP * n, STEP * n) for n in range(77, 80)]
    assert fresh_ones(before + burst + live) == [*range(1, 10), 76, 77]


def test_a_computer_that_is_too_slow_gets_no_fresh_frame_in_the_end():
    slow = [(1.5 * STEP * n, STEP * n) for n in range(100)]
    freshness = Freshness()
    fresh = [number for number, frame in enumerate(slow) if freshness.is_fresh(*frame)]
    assert fresh == list(range(1, int(LATE_S / (STEP / 2)) + 1))
    assert freshness.late_since == pytest.approx(1.5 * STEP * (fresh[-1] + 1))


@pytest.mark.parametrize("drift", [-5e-4, 5e-4])
def test_a_clock_that_goes_wrong_makes_no_frame_late(drift):
    day = [5.0 * n + STEP * step for n in range(24 * 720) for step in (0, 1)]  # two every 5 s
    assert fresh_ones([(now, now * (1 + drift)) for now in day]) == list(range(1, len(day)))


@pytest.mark.parametrize("jump", [-100.0, 100.0])
def test_a_camera_that_sets_its_clock_goes_on(jump):
    before = [(STEP * n, STEP * n) for n in range(10)]
    after = [(STEP * n, STEP * n + jump) for n in range(10, 20)]
    assert fresh_ones(before + after) == [*range(1, 10), *range(11, 20)]


def test_without_time_stamps_what_comes_at_once_is_not_fresh():
    assert fresh_ones([(0.0, 0.0), (0.001, 0.0), (0.04, 0.0), (0.08, 0.0)]) == [2, 3]
