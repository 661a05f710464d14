import re
from collections.abc import Iterator
from pathlib import Path

from onegauge.service import errors
from onegauge.service.errors import BackendOverloaded, ImageTooLarge, Problem

API = Path(__file__).parents[2] / "docs" / "api.md"


def leaves(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield from leaves(child) if child.__subclasses__() else [child]


def test_details_have_the_members_of_rfc_9457_and_the_extensions():
    assert ImageTooLarge("9 bytes, limit 8", limit_bytes=8).details() == {
        "type": "/problems/image-too-large",
        "title": "Image too large",
        "status": 413,
        "detail": "9 bytes, limit 8",
        "limit_bytes": 8,
    }


def test_message_is_the_detail():
    assert str(BackendOverloaded("queue full", retry_after=1)) == "queue full"


def test_every_problem_has_its_own_reason_and_is_documented_with_its_status():
    rows = re.findall(r"^\| `/problems/([\w-]+)` \| (\d+) \|", API.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((kind.reason, str(kind.status)) for kind in leaves())


def test_docstring_draws_the_tree():
    for kind in leaves():
        assert re.search(rf"── {kind.__name__} +{kind.status}", errors.__doc__)
