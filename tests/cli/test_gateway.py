import signal
import subprocess
import sys

import httpx

from onegauge.service.http.keys import KeyFile
from tests.cli.command import status


def test_serve_takes_options_and_ends_quietly_on_ctrl_c(gauge_repository):
    command = [sys.executable, "-m", "onegauge", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--repository", str(gauge_repository)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        told = next(line for line in process.stdout if "listens on" in line)
        assert httpx.get(f"{told.split()[-1]}/readyz").status_code == 200
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in log


def test_a_key_is_printed_once_and_its_hash_is_in_the_file(tmp_path, capsys):
    file = tmp_path / "keys"
    assert status("key", "press-3", "--file", str(file), "--scopes", "inspect, read") == 0
    printed = capsys.readouterr().out.strip()
    assert printed not in file.read_text()
    assert KeyFile(file).find(printed).scopes == {"inspect", "read"}
    assert status("key", "press-3", "--file", str(file)) == 1
    assert "press-3" in capsys.readouterr().err
