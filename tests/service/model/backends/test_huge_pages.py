import re
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path

import pytest

from onegauge.service.model.backends.huge_pages import use_huge_pages

MEBI = 2**20
ROLLUP = Path("/proc/self/smaps_rollup")


def huge_bytes() -> int:
    found = re.search(r"AnonHugePages: +(\d+) kB", ROLLUP.read_text())
    return 1024 * int(found[1]) if found else 0


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists() or not ROLLUP.exists(),
    reason="the kernel has no huge pages",
)
def test_memory_that_is_in_use_comes_to_have_huge_pages_and_stays_as_it_was():
    content = bytes(range(256)) * (16 * MEBI // 256)
    with mmap(-1, len(content), flags=MAP_PRIVATE | MAP_ANONYMOUS) as memory:
        memory.write(content)
        before = huge_bytes()
        use_huge_pages()
        assert huge_bytes() - before >= 8 * MEBI
        assert memory[:] == content
