from fnmatch import fnmatchcase

import pytest

from onegauge.training.data.layouts.verdict import left_out, place, taken, undecided


@pytest.mark.parametrize(("parts", "other"), [(("a", "x[1]"), "a/x1"), (("a*b", "c?"), "ab/cd")])
def test_a_place_is_a_glob_of_itself_alone(parts, other):
    assert fnmatchcase("/".join(parts), place(*parts))
    assert not fnmatchcase(other, place(*parts))


def test_the_root_has_a_place_too():
    assert place() == "."


def test_only_what_is_taken_is_read():
    assert taken("good").is_taken
    assert not left_out("NG", why="defects").is_taken
    assert not undecided("odd", why="beside good").is_taken
