"""The languages of the page: their texts, and how they write numbers and times."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "languages"
DEFAULT = "en"
COOKIE = "onegauge_language"


@dataclass(frozen=True)
class Language:
    """One language; its code is the name of its file, as in `lang="de"`."""

    code: str
    texts: Mapping[str, str]

    def say(self, text: str, **values: object) -> str:
        """A text by its table and its key, as `queue.title`, with values in their places."""
        return self.texts[text].format(**values)

    def number(self, value: float, digits: int = 2) -> str:
        """A number with so many digits behind the decimal sign."""
        return f"{value:.{digits}f}".replace(".", self.texts["writing.decimal"])

    def small(self, value: float) -> str:
        """A number that may be far below 1, such as a p-value, by two digits that tell."""
        return f"{value:.2g}".replace(".", self.texts["writing.decimal"])

    def count(self, value: int) -> str:
        """A whole number, its thousands apart."""
        return f"{value:,}".replace(",", self.texts["writing.thousands"])

    def percent(self, share: float) -> str:
        """A share of 1."""
        return self.say("writing.percent", value=self.number(100 * share, 1))

    def time(self, when: datetime, zone: tzinfo) -> str:
        """A time to the second, with the name of its zone."""
        return f"{when.astimezone(zone):{self.texts['writing.time']}}"

    def clock(self, when: datetime, zone: tzinfo) -> str:
        """A time in a list, to the second."""
        return f"{when.astimezone(zone):{self.texts['writing.clock']}}"


@cache
def languages() -> Mapping[str, Language]:
    """All that the folder has, by their codes."""
    return {file.stem: Language(file.stem, read(file)) for file in sorted(FOLDER.glob("*.toml"))}


def read(file: Path) -> dict[str, str]:
    """The texts of a file, by table and key."""
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        f"{table}.{key}": text for table, texts in tables.items() for key, text in texts.items()
    }


def chosen(cookie: str, accepted: str) -> Language:
    """The language that somebody switched to, else the first that the browser accepts."""
    known = languages()
    if cookie in known:
        return known[cookie]
    ranges = re.findall(r"([A-Za-z]+)[\w-]*\s*(?:;\s*q\s*=\s*([\d.]+))?\s*(?:,|$)", accepted)
    wanted = sorted(ranges, key=lambda found: -_quality(found[1]))
    codes = (code.lower() for code, quality in wanted if _quality(quality) > 0)
    return known[next((code for code in codes if code in known), DEFAULT)]


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.\d*)?", text) else 1.0
