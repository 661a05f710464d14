from pathlib import Path

import pytest

from onegauge.cores import cores, threads


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Sixteen cores, on eight of which the process may run."""
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


def system(root: Path, groups: str, **files: str) -> Path:
    """The kernel's files below a folder: the process's groups, and what they say."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("25000 50000", 1),
        ("3200000 100000", 8),
        ("", 8),
        ("nonsense 0", 8),
        ("1000 0", 8),
    ],
)
def test_quota_of_a_container_counts_rounded_up(tmp_path, quota, expected):
    assert cores(system(tmp_path, "0::/\n", **{"cpu.max": quota})) == expected


@pytest.mark.parametrize("limited", ["", "a/", "a/b/", "a/b/c.scope/"])
def test_lowest_quota_of_all_groups_around_the_process_counts(tmp_path, limited):
    quotas = {f"{group}cpu.max": "max 100000" for group in ("", "a/", "a/b/", "a/b/c.scope/")}
    quotas[f"{limited}cpu.max"] = "300000 100000"
    assert cores(system(tmp_path, "0::/a/b/c.scope\n", **quotas)) == 3


def test_group_of_others_does_not_count(tmp_path):
    quotas = {"a/cpu.max": "max 100000", "b/cpu.max": "100000 100000"}
    assert cores(system(tmp_path, "0::/a\n", **quotas)) == 8


VERSION_1 = "12:pids:/x\n4:cpu,cpuacct:/docker/0815\n3:cpuset:/\n1:name=systemd:/\n"


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("group", ["", "/docker", "/docker/0815"])
def test_quota_of_version_1_counts(tmp_path, mount, group):
    quota = {f"{mount}{group}/cpu.cfs_quota_us": "250000"}
    period = {f"{mount}{group}/cpu.cfs_period_us": "100000"}
    assert cores(system(tmp_path, VERSION_1, **quota, **period)) == 3


def test_unlimited_quota_of_version_1_is_none(tmp_path):
    files = {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert cores(system(tmp_path, VERSION_1, **files)) == 8


def test_both_versions_beside_each_other_count(tmp_path):
    files = {"cpu/cpu.cfs_quota_us": "500000", "cpu/cpu.cfs_period_us": "100000"}
    groups = "2:cpu:/\n0::/a\n"
    assert cores(system(tmp_path, groups, **files, **{"unified/a/cpu.max": "400000 100000"})) == 4


def test_system_without_such_files_has_the_cores_that_the_process_may_run_on(tmp_path, monkeypatch):
    assert cores(tmp_path) == 8
    monkeypatch.delattr("os.sched_getaffinity")
    assert cores(tmp_path) == 16


def test_library_is_told_of_threads_only_where_it_would_take_too_many(monkeypatch):
    assert threads() == cores() <= 8
    monkeypatch.setattr("os.cpu_count", cores)
    assert threads() == 0
