"""A subcommand of `onegauge` in a process of its own, which yields to the gateway's."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

NICENESS = 10
THREADS = {"OMP_NUM_THREADS": "1"}  # the other cores are for the line


class CommandFailed(Exception):
    """The command ended with an error; its text is the error, `said` what it told before."""

    def __init__(self, error: str, said: list[str]) -> None:
        super().__init__(error)
        self.said = said


@dataclass(frozen=True)
class Told:
    """What a command printed, and the sentences that it said on the way."""

    output: str
    said: list[str]


async def onegauge(*arguments: str, environment: Mapping[str, str] | None = None) -> Told:
    """Run `onegauge` with arguments, and in its environment these settings alone.

    It ends with its caller. Raises CommandFailed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "onegauge", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**_environment(), **(environment or {})},
    )
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        output, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = said.decode(errors="replace").split("\n")
    sentences = [line for line in lines if line.strip()]
    if process.returncode:
        *before, error = sentences or [f"it ended with status {process.returncode}"]
        raise CommandFailed(error.removeprefix("onegauge: "), before)
    return Told(output.decode(errors="replace"), sentences)


def _environment() -> dict[str, str]:
    """That of this process, without the settings of the gateway."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ONEGAUGE_")}
    return {**own, **THREADS}
