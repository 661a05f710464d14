"""What a process takes of the CPU, with those that it starts."""

import subprocess
import sys

from bench.support.servers import Running
from bench.triton import family_cpu_s

BUSY = "while time.process_time() < 0.3: pass"
CHILD = f"import time\\n{BUSY}\\nprint(1, flush=True)\\ninput()"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "{CHILD}"])
sys.stdin.read()
"""


def test_processes_that_a_process_has_started_count():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"1\n"
        family, alone = family_cpu_s(parent.pid), Running("", parent.pid).cpu_s()
        parent.communicate()
    assert family - alone >= 0.25
