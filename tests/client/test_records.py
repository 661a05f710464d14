"""The clients and commands that ask a gateway for its records."""

import asyncio
import json
from pathlib import Path

import pytest

from onegauge.client import AsyncClient, Client, ClientError, Options, Refused, Search
from tests.cli.command import status
from tests.service.served import served


@pytest.fixture(scope="module")
def url(gauge_repository: Path, tmp_path_factory: pytest.TempPathFactory):
    records = tmp_path_factory.mktemp("records") / "records.db"
    with served(gauge_repository, records=f"sqlite:///{records}") as url:
        yield url


@pytest.fixture(scope="module")
def made(url, normal, defective):
    """Ids of two inspections of parts 1 and 2."""
    with Client(url) as gateway:
        answers = [
            gateway.inspect([image], Options(line="press", part=part))
            for part, image in (("1", normal), ("2", defective))
        ]
    return [answer.results[0].inspection for answer in answers]


def test_client_finds_tells_and_judges(url, made):
    with Client(url) as gateway:
        page = gateway.inspections(Search(line="press", limit=1))
        assert [found.id for found in page.inspections] == made[1:]
        page = gateway.inspections(Search(line="press", limit=1, after=page.next))
        assert [(found.id, found.part) for found in page.inspections] == [(made[0], "1")]
        gateway.judge(made[0], "missed", by="ann", note="a scratch")
        told = gateway.inspection(made[0])
        assert (told.verdict, told.judgements[-1].note) == ("missed", "a scratch")
        assert gateway.judge(made[0], None).verdict is None
        again = gateway.judge(made[0], "unclear", by="ann", whole_part=True)
        assert again.verdict == "unclear"


def test_client_says_what_is_wrong(url, made):
    with Client(url) as gateway:
        with pytest.raises(Refused, match="there is no inspection"):
            gateway.inspection("0" * 32)
        with pytest.raises(Refused):
            gateway.inspection("../model")
        with pytest.raises(ClientError, match="note"):
            gateway.judge(made[0], "missed", note="x" * 1001)
        with pytest.raises(ClientError, match="not both"):
            gateway.save_criterion(threshold=1.0, max_false_alarm_rate=0.1)
        with pytest.raises(Refused, match="below 1/100"):
            gateway.save_criterion(max_false_alarm_rate=0.001)


def test_client_saves_what_decides(url):
    with Client(url) as gateway:
        told = gateway.save_criterion(threshold=1.25, by="ann", note="dust")
        assert told == gateway.criterion()
        assert (told.threshold, told.saved, told.history[0].by) == (1.25, True, "ann")
        assert gateway.model().threshold == 1.25
        assert gateway.save_criterion().saved is False


def test_asynchronous_client_does_the_same(url, made):
    async def ask():
        async with AsyncClient(url) as gateway:
            told = await gateway.judge(made[1], "confirmed", by="bob")
            page = await gateway.inspections(Search(verdict="confirmed"))
            assert [found.id for found in page.inspections] == [made[1]]
            assert await gateway.inspection(made[1]) == told
            saved = await gateway.save_criterion(max_false_alarm_rate=0.05, by="bob")
            assert (saved.threshold, saved.max_false_alarm_rate) == (None, 0.05)
            await gateway.save_criterion()
            assert (await gateway.criterion()).threshold == 1.0

    asyncio.run(ask())


def test_find_prints_a_table_and_lines(url, made, capsys):
    assert status("records", "find", "--url", url, "--part", "2") == 0
    table = capsys.readouterr().out
    assert made[1] in table
    assert made[0] not in table
    assert status("records", "find", "--url", url, "--jsonl", "--nearest", "--line", "press") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["id"] for line in lines} == set(made)
    assert status("records", "find", "--url", url, "--limit", "1") == 0
    assert "1 inspections; there are more" in capsys.readouterr().out
    assert status("records", "find", "--url", url, "--part-decision", "normal", "--jsonl") == 0
    assert capsys.readouterr().out == ""
    assert status("records", "find", "--url", url, "--since", "2099-01-01") == 0
    assert status("records", "find", "--url", url, "--part", "a\x00b") == 1
    assert "part" in capsys.readouterr().err


def test_judge_says_and_takes_back(url, made, capsys):
    assert status("records", "judge", made[0], "unclear", "--url", url, "--by", "ann") == 0
    assert f"{made[0]} of part 1: normal, unclear" in capsys.readouterr().out
    assert status("records", "judge", made[0], "none", "--url", url) == 0
    assert "no verdict" in capsys.readouterr().out
    assert status("records", "judge", "0" * 32, "missed", "--url", url) == 1
    assert "there is no inspection" in capsys.readouterr().err
