from pathlib import Path

import pytest

from onegauge.records.url import beside, url_of


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("sqlite:///runs/records.db?timeout=5", Path("runs/pictures")),
        ("sqlite:////data/records.db", Path("/data/pictures")),
        ("postgresql+psycopg://host/records", None),
        ("", None),
    ],
)
def test_what_belongs_to_records_lies_beside_a_file(url, folder):
    assert beside(url, "pictures") == folder


def test_a_url_may_be_in_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql+psycopg://u:secret@host/records\n")
    for told in (str(tmp_path / "url"), "postgresql+psycopg://u:secret@host/records"):
        assert url_of(told) == "postgresql+psycopg://u:secret@host/records"
