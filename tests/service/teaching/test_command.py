"""Commands run beside the gateway, and end with what asked for them."""

import asyncio
import os

import pytest

from onegauge.service.teaching.command import CommandFailed, onegauge


def test_a_command_gives_what_it_printed():
    told = asyncio.run(onegauge("publish", "--help"))
    assert "onegauge publish" in told.output
    assert told.said == []


def test_a_command_that_fails_tells_why(tmp_path):
    arguments = ("publish", "2", "--repository", str(tmp_path), "--name", "onegauge")
    with pytest.raises(CommandFailed, match="^cannot publish version 2 of onegauge"):
        asyncio.run(onegauge(*arguments))


def test_settings_of_the_gateway_stay_with_it(monkeypatch, tmp_path):
    monkeypatch.setenv("ONEGAUGE_RECORDS", "sqlite:///elsewhere.db")
    with pytest.raises(CommandFailed):  # no database is named
        asyncio.run(onegauge("records", "stats"))
    url = f"sqlite:///{tmp_path}/here.db"
    with pytest.raises(CommandFailed, match=r"here\.db is not there"):
        asyncio.run(onegauge("records", "stats", environment={"ONEGAUGE_RECORDS": url}))


def test_a_command_ends_when_it_is_given_up(monkeypatch):
    async def given_up():
        made, started = asyncio.create_subprocess_exec, asyncio.Queue()

        async def start(*words, **options):
            process = await made(*words, **options)
            started.put_nowait(process)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
        running = asyncio.create_task(onegauge("publish", "--help"))
        process = await started.get()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return process.pid

    pid = asyncio.run(given_up())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
