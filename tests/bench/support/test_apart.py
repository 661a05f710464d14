"""Work in a process of its own: its result comes back, and what it raised."""

import os
import sys

import pytest

from bench.support.apart import apart
from rig import Missing


def add_pid(number):
    return number + os.getpid()


def miss(what):
    raise Missing(what)


def test_work_is_done_in_a_process_of_its_own():
    assert apart(add_pid, 10**9).result() - 10**9 not in (0, os.getpid())


@pytest.mark.parametrize(("work", "raised"), [(sys.exit, SystemExit), (miss, Missing)])
def test_what_it_raises_comes_back(work, raised):
    with pytest.raises(raised, match="it needs two cores"):
        apart(work, "it needs two cores").result()
