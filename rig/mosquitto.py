"""A real MQTT broker, from the system's package `mosquitto`."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from rig import Missing
from rig.address import POLL_EVERY_S, free_address
from rig.authority import Authority

READY_WITHIN_S = 30.0
USER, PASSWORD, READER = "gateway", "a secret", "reader"
RULES = f"user {USER}\ntopic readwrite #\n\nuser {READER}\ntopic read #\n"


class Mosquitto:
    """A broker with its data in a folder, for two users: one may write, the other read alone."""

    def __init__(self, folder: Path, program: str, passwords: str, settings: tuple[str, ...]):
        self._folder, self._program = folder, program
        self._process: subprocess.Popen[bytes] | None = None
        self._plain, self._encrypted = free_address(), free_address()
        self.authority = Authority(folder)
        self.password_file = folder / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        users = folder / "users"
        users.touch(mode=0o600)
        for user in (USER, READER):
            subprocess.run([passwords, "-b", users, user, PASSWORD], check=True)
        (folder / "rules").write_text(RULES)
        (folder / "rules").chmod(0o600)
        (folder / "mosquitto.conf").write_text("\n".join((*self._configuration(), *settings)))

    @property
    def url(self) -> str:
        """Of the plain listener."""
        return f"mqtt://{self._plain}"

    @property
    def encrypted_url(self) -> str:
        """Of the listener that has a certificate of the authority."""
        return f"mqtts://{self._encrypted}"

    @property
    def port(self) -> int:
        """Of the plain listener."""
        return int(self._plain.rpartition(":")[2])

    @property
    def encrypted_port(self) -> int:
        """Of the other."""
        return int(self._encrypted.rpartition(":")[2])

    def start(self) -> None:
        """Return once it takes connections, on the same ports as ever."""
        command = [self._program, "-c", str(self._folder / "mosquitto.conf")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = monotonic() + READY_WITHIN_S
        while not self._listens():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert monotonic() < deadline, f"mosquitto is not there within {READY_WITHIN_S} s"
            sleep(POLL_EVERY_S)

    def kill(self) -> None:
        """End it as the loss of its power would, but for what the system has to write yet."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def save(self) -> None:
        """Have on disk who has subscribed to what."""
        assert self._process is not None
        file = self._folder / "mosquitto.db"
        before = file.stat().st_mtime_ns if file.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        deadline = monotonic() + READY_WITHIN_S
        while not file.exists() or file.stat().st_mtime_ns == before:
            assert monotonic() < deadline, f"mosquitto has saved nothing within {READY_WITHIN_S} s"
            sleep(POLL_EVERY_S)

    def freeze(self) -> None:
        """Have it answer nobody, until it is thawed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.encrypted_port)):  # the later one
                return True
        except ConnectionRefusedError:
            return False

    def _configuration(self) -> Iterator[str]:
        server = self.authority.issue("broker")
        yield "user root"  # of no effect for others: else it leaves root's, and its folder
        yield "allow_anonymous false"
        yield f"password_file {self._folder / 'users'}"
        yield f"acl_file {self._folder / 'rules'}"
        yield "persistence true"
        yield f"persistence_location {self._folder}/"
        # What is acknowledged is on its way to who listens, or kept for who is not there
        yield "max_inflight_messages 0"
        yield "max_queued_messages 0"
        yield "queue_qos0_messages true"
        yield f"listener {self.port} 127.0.0.1"
        yield f"listener {self.encrypted_port} 127.0.0.1"
        yield f"cafile {self.authority.certificate}"
        yield f"certfile {server.certificate}"
        yield f"keyfile {server.key}"


@contextmanager
def mosquitto(folder: Path, *settings: str) -> Iterator[Mosquitto]:
    """A running broker, with more lines for its encrypted listener or itself; raises Missing."""
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"  # of root's alone
    program, passwords = (shutil.which(n, path=path) for n in ("mosquitto", "mosquitto_passwd"))
    if program is None or passwords is None:
        raise Missing("mosquitto is not installed: apt-get install mosquitto")
    broker = Mosquitto(folder, program, passwords, settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
