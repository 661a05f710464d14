import re
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest

from onegauge.service import review
from onegauge.service.review.languages import DEFAULT, FOLDER, chosen, languages, read

ROOM = Path(review.__file__).parent
FILES = sorted(FOLDER.glob("*.toml"))
WHEN = datetime(2026, 11, 30, 5, 7, 9, tzinfo=UTC)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_language_says_the_same_things(file):
    texts, first = read(file), read(FOLDER / f"{DEFAULT}.toml")
    assert texts.keys() == first.keys()
    for key, text in texts.items():
        assert places(text) == places(first[key]), key
        assert text.strip(), key


def test_there_are_english_and_german():
    assert {"en", "de"} <= languages().keys()


def test_nothing_is_translated_that_no_page_says():
    sources = [*ROOM.rglob("*.html"), *ROOM.rglob("*.py")]
    text = "\n".join(file.read_text() for file in sources)
    said = set(re.findall(r"[\"'](\w+\.\w+)[\"']", text))
    prefixes = tuple(re.findall(r"say\([\"'](\w+\.\w*)[\"'] ~", text))
    known = read(FOLDER / f"{DEFAULT}.toml").keys()
    assert {key for key in known if key not in said and not key.startswith(prefixes)} == set()


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("", "en"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr-FR, en;q=0.3, de;q=0.7", "de"),
        ("de;q=0, en", "en"),
        ("*", "en"),
        ("de;q=x,;;,=", "en"),
        ("DE", "de"),
    ],
)
def test_a_browser_gets_what_it_likes_best(accepted, code):
    assert chosen("", accepted).code == code


def test_who_switched_stays_there():
    assert chosen("de", "en").code == "de"
    assert chosen("../../etc/passwd", "de").code == "de"


def test_numbers_and_times_are_written_as_the_language_does():
    english, german = (languages()[code] for code in ("en", "de"))
    assert (english.number(1.234), german.number(1.234)) == ("1.23", "1,23")
    assert (english.small(0.00123), german.small(0.00123)) == ("0.0012", "0,0012")
    assert english.time(WHEN, UTC) == "2026-11-30 05:07:09 UTC"
    assert german.time(WHEN, UTC) == "30.11.2026 05:07:09 UTC"
