import socket
import subprocess
import sys
from pathlib import Path

from rig.address import PORTS, free_address

ROOT = Path(__file__).parents[2]
MANY = 300
ASK = f"""
from rig.address import free_address
print(*(free_address() for _ in range({MANY})), flush=True)
input()
"""


def test_processes_that_ask_at_the_same_time_are_given_different_ones():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    asking = [subprocess.Popen([sys.executable, "-c", ASK], **pipes) for _ in range(2)]
    given = [address for process in asking for address in process.stdout.readline().split()]
    for process in asking:
        process.communicate("\n")
    assert len(set(given)) == 2 * MANY


def test_a_server_can_listen_there_which_is_then_not_free():
    host, _, port = free_address().partition(":")
    assert int(port) in PORTS
    with socket.create_server((host, int(port))):
        assert all(free_address() != f"{host}:{port}" for _ in range(MANY))
