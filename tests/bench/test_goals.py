"""The table of goals: pass or short, and where its figures come from."""

import inspect
import re
from importlib import import_module

import pytest

from bench.goals import FAST, TOO_LONG, Goal, goals, main, table
from bench.support.figures import Kept

TODAY = "2026-11-30"
GOALS = (*goals(FAST),)
LEAST = Goal("frames", "start", "of > limit", "≥ 0.95")
MOST = Goal("time", "start", "of > limit", "≤ 0.95 s")


def verdict(goal, found):
    return goal.row(found, TODAY).partition(goal.wanted)[2].split()


@pytest.mark.parametrize(
    ("goal", "measured", "expected"),
    [
        (LEAST, 0.949, ["short"]),
        (LEAST, 0.95, ["pass"]),
        (LEAST, 0.951, ["pass"]),
        (MOST, 0.949, ["pass"]),
        (MOST, 0.95, ["pass"]),
        (MOST, 0.951, ["short"]),
    ],
)
def test_a_figure_passes_up_to_its_limit(goal, measured, expected):
    kept = Kept(TODAY, {"of": {"limit": measured}})
    assert verdict(goal, kept) == expected
    assert goal.row(kept, TODAY).split()[1] == str(measured)


def test_an_older_figure_has_its_day():
    assert verdict(LEAST, Kept("2026-11-26", {"of": {"limit": 1}})) == ["pass", "(2026-11-26)"]


def test_a_figure_that_is_not_there_neither_passes_nor_is_short():
    assert verdict(LEAST, Kept(TODAY, {"of": {}})) == ["not", "measured"]
    assert verdict(LEAST, "it needs two cores") == ["it", "needs", "two", "cores"]


def test_every_goal_has_a_command_that_measures_it_by_itself():
    for command in {goal.command for goal in GOALS} - TOO_LONG:
        measure = inspect.signature(import_module(f"bench.{command}").measure)
        for parameter in measure.parameters.values():
            assert parameter.default is not inspect.Parameter.empty, (command, parameter)


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_a_goal_has_a_bound(goal):
    assert re.fullmatch(r"[≤≥] [0-9.]+( ms| s| MB)?", goal.wanted)


def test_small_integers_are_to_be_faster_where_a_processor_has_them():
    wanted = [[*goals(flags)][-1].wanted for flags in ({"avx2"}, {"avx2", "avx_vnni"})]
    assert wanted == ["≥ 1.5", "≥ 2"]


def test_goals_of_a_command_stand_together():
    commands = [goal.command for goal in GOALS]
    assert commands == sorted(commands, key=commands.index)


def test_a_row_comes_once_its_command_has_measured():
    measured = []

    def found(command):
        measured.append(command)
        return Kept(TODAY, {"of": {"limit": 1}}) if command == "start" else "it failed"

    other = Goal("memory", "latency", "mb", "≤ 10 MB")
    rows = table((LEAST, MOST, other), found, TODAY)
    next(rows)
    assert next(rows).split()[0] == "frames"
    assert measured == ["start"]
    assert [row.split()[0] for row in rows] == ["time", "memory"]
    assert measured == ["start", "latency"]


def test_a_command_that_measures_no_goal_is_refused():
    with pytest.raises(SystemExit, match="by anomalib, but by decoding, hotpath"):
        main(["anomalib"])
