"""What is taken from a folder of images, what is left out and why, told before it is read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onegauge.files import is_hidden, is_image
from onegauge.training.choice import Choice
from onegauge.training.data.layouts.layout import Judge, Layout
from onegauge.training.data.layouts.verdict import Outcome, Verdict, left_out
from onegauge.training.errors import DataError

NAMED_PLACES = 8  # of a row of the table, or of a sentence
EXCLUDED = "--exclude"
NO_FILE = "links that lead nowhere, or pipes"


@dataclass(frozen=True)
class Selection:
    """The verdict on every file below a folder, which has been listed once."""

    layout: Layout
    wanted: str  # what it is about
    expected: str  # where that is looked for
    verdicts: tuple[tuple[Path, Verdict], ...]  # of paths relative to the root

    @classmethod
    def of(
        cls, layout: Layout, judge: Judge, choice: Choice, *, wanted: str, expected: str
    ) -> Selection:
        """What a judge says of each image, and a choice in its place. Raises DataError."""

        def verdict(file: Path) -> Verdict:
            if not is_image(file):
                return left_out(*file.parts[:-1], why=_unread(file))
            if choice.excludes(file):
                return left_out(*file.parts[:-1], why=EXCLUDED)
            return judge(file, choice.includes(file))

        tree = layout.tree
        choice.require_use(tree.images, tree.root)
        judged = [(file, verdict(file)) for file in tree.files]
        lost = [(name, left_out(*name.parts[:-1], why=NO_FILE)) for name in tree.others]
        return cls(layout, wanted, expected, tuple(judged + lost))

    @property
    def root(self) -> Path:
        """The folder."""
        return self.layout.tree.root

    @property
    def taken(self) -> list[Path]:
        """The files that are taken, relative to the root."""
        return [file for file, verdict in self.verdicts if verdict.is_taken]

    def table(self) -> str:
        """One row for each outcome and reason, with the places and their numbers of files."""
        rows = [f"{self.root}: {len(self.taken)} of {len(self.verdicts)} files are taken"]
        reasons = {(verdict.outcome, verdict.why) for _, verdict in self.verdicts}
        for outcome, why in sorted(reasons, key=lambda r: (list(Outcome).index(r[0]), r[1])):
            places = self._places(outcome, why)
            named = _named([f"{place} ({count})" for place, count in places.items()])
            rows.append(f"  {outcome:<9} {places.total():>6}  {why}: {named}")
        return "\n".join(rows)

    def show(self) -> list[Path]:
        """Print the table, then what `images` gives."""
        encoding = sys.stdout.encoding
        told = f"{self.table()}\n".encode(encoding, "backslashreplace").decode(encoding)
        sys.stdout.write(told)
        return self.images()

    def images(self) -> list[Path]:
        """What is taken, sorted. Raises DataError where that is nothing, or undecided."""
        open_ = [v for _, v in self.verdicts if v.outcome is Outcome.UNDECIDED]
        if open_:
            raise DataError(
                f"undecided about {len(open_)} images in {self.root}: {_told(open_)}; "
                f"--include '/{open_[0].where}' if they are normal, --exclude it if not"
            )
        if not self.taken:
            raise DataError(
                f"no {self.wanted} in {self.root}: expected {self.expected}; {self._nothing()}"
            )
        return [self.root / file for file in self.taken]

    def _nothing(self) -> str:
        """Why nothing is taken: what was left out though it is an image, or that there is none."""
        images = [(f, v) for f, v in self.verdicts if is_image(f) and v.why != NO_FILE]
        if not images:
            return f"there are {_told([v for _, v in self.verdicts]) or 'no files'}"
        told = f"all {len(images)} images are left out, {_told([v for _, v in images])}"
        masks = [file for file, verdict in images if verdict.why.startswith("masks")]
        globs = {f"/{v.where}" for _, v in images if not v.why.startswith(("masks", EXCLUDED))}
        if not globs:
            return told
        glob = min(globs)
        if len(globs) == 1 and not any(Choice((glob,)).includes(mask) for mask in masks):
            return f"{told}; --include {glob!r} takes them all the same"
        return (
            f"{told}; --include takes those that a glob names, such as 'line4/images' or '*_ok.png'"
        )

    def _places(self, outcome: Outcome, why: str) -> Counter[str]:
        alike = (v for _, v in self.verdicts if (v.outcome, v.why) == (outcome, why))
        return Counter(verdict.where for verdict in alike)


def _unread(file: Path) -> str:
    if is_hidden(file):
        return "hidden, or of the system"
    return f"{file.suffix.lower() or 'no suffix'}, which is not read"


def _named(names: Sequence[str]) -> str:
    """The first of the names, and how many more there are."""
    more = len(names) - NAMED_PLACES
    return ", ".join(names[:NAMED_PLACES]) + (f" and {more} more" if more > 0 else "")


def _told(verdicts: Sequence[Verdict]) -> str:
    """Where something was decided and why, each once."""
    return _named([*{f"{verdict.where} ({verdict.why})": None for verdict in verdicts}])
