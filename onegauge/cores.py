"""The cores that a process may use, which may be few of the machine's."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_MOUNTS = Path("sys/fs/cgroup")


def cores(root: Path = Path("/")) -> int:
    """As many cores as this process may run on, or as a container's quota is worth, rounded up.

    `root` is where the kernel's files are; on other systems than Linux there are none.
    """
    try:
        runs_on = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        runs_on = os.cpu_count() or 1
    return min([runs_on, *(ceil(quota) for quota in _quotas(root))])


def threads() -> int:
    """Threads for a library that by itself, at 0, takes all of the machine's cores."""
    allowed = cores()
    return 0 if allowed == os.cpu_count() else allowed


def _quotas(root: Path) -> Iterator[float]:
    """The quotas in cores of the process's control groups, and of all that they are in."""
    for folder in _groups(root):
        try:
            if (file := folder / "cpu.max").exists():
                quota, period = file.read_text().split()  # "max 100000" where there is none
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()  # -1 where there is none
                period = (folder / "cpu.cfs_period_us").read_text()
            if int(quota) > 0 and int(period) > 0:
                yield int(quota) / int(period)
        except (OSError, ValueError):
            continue


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the groups that give the process its time, of version 2 and 1, the inner first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mounts = ("cpu", controllers) if controllers else ("", "unified")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in mounts:
            # a container may see the names of its host's groups, but its own group as the root
            group = root / _MOUNTS / mount / path.lstrip("/")
            yield from (group, *group.parents[: len(Path(path.lstrip("/")).parts)])
