import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from onegauge.service.http.keys import Key, KeyFile, KeyFileError, add_key, read_keys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_key_is_found_by_itself_and_the_file_does_not_have_it(file):
    first = add_key(file, "press-3", ["inspect"])
    second = add_key(file, "operator", ["read", "admin"])
    keys = KeyFile(file)
    assert keys.find(second) == Key(
        "operator", frozenset({"read", "admin"}), sha256(second.encode()).hexdigest()
    )
    assert keys.find(first).name == "press-3"
    assert keys.find(first[:-1]) is None
    assert first not in file.read_text()
    assert len(first) > 40


def test_key_is_found_by_its_name_as_long_as_it_is_in_the_file(file):
    secret = add_key(file, "press-3", ["inspect"])
    keys = KeyFile(file)
    assert keys.named("press-3") == keys.find(secret)
    assert keys.named("press-4") is None
    file.write_text("")
    assert keys.named("press-3") is None


def test_file_is_its_owners_alone(file):
    add_key(file, "press-3", ["inspect"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_key_is_revoked_and_another_added_without_a_restart(file):
    old = add_key(file, "press-3", ["inspect"])
    keys = KeyFile(file)
    assert keys.find(old)
    for none in ("# none any more\n", ""):
        file.write_text(none)
        assert keys.find(old) is None
    new = add_key(file, "press-4", ["inspect"])
    assert keys.find(new).name == "press-4"


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def double_the_last_line(file: Path) -> None:
    text = file.read_text()
    file.write_text(text + text)


def cut_off(file: Path) -> None:
    file.write_text(file.read_text()[:-9])


SPOILT = [
    Path.unlink,
    lambda file: file.write_text("nonsense"),
    lambda file: file.write_bytes(b"\xff\xfea"),
    lambda file: (file.unlink(), file.mkdir()),
    lambda file: (file.unlink(), os.mkfifo(file)),
    double_the_last_line,
    cut_off,
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_file_that_cannot_be_used_any_more_leaves_the_keys_as_they_were(file, spoil, caplog):
    secret = add_key(file, "press-3", ["inspect"])
    keys = KeyFile(file)
    spoil(file)
    assert keys.find(secret).name == "press-3"
    assert keys.find(secret).name == "press-3"
    assert not keys.usable()
    assert caplog.text.count("keys unchanged") == 1


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("asked_at", [(0, 30, 50, 60), (60,)], ids=["often", "seldom"])
def test_no_key_outlives_a_file_that_cannot_be_used_by_more_than_a_minute(file, spoil, asked_at):
    secret, clock = add_key(file, "press-3", ["inspect"]), Clock()
    keys = KeyFile(file, clock)
    clock.now = 1000
    assert keys.find(secret)
    spoil(file)
    for seconds in asked_at[:-1]:
        clock.now = 1000 + seconds
        assert keys.find(secret)
    clock.now = 1000 + asked_at[-1]
    with pytest.raises(KeyFileError):
        keys.find(secret)
    with pytest.raises(KeyFileError):
        keys.named("press-3")


def test_mended_file_is_good_at_once(file):
    secret, clock = add_key(file, "press-3", ["inspect"]), Clock()
    keys, whole = KeyFile(file, clock), file.read_text()
    cut_off(file)
    clock.now = 100
    with pytest.raises(KeyFileError):
        keys.find(secret)
    file.write_text(whole)
    assert keys.find(secret).name == "press-3"
    assert keys.usable()


def test_key_is_revoked_by_a_file_that_looks_the_same(file, monkeypatch):
    secret, clock = add_key(file, "press-3", ["inspect"]), Clock()
    keys = KeyFile(file, clock)
    stamp = keys._look()
    monkeypatch.setattr(keys, "_look", lambda: stamp)  # changed within the clock's resolution
    file.write_text("#")
    clock.now = 10
    assert keys.find(secret) is None


def test_key_is_revoked_by_a_file_that_replaces_the_old_one(file):
    secret = add_key(file, "press-3", ["inspect"])
    keys = KeyFile(file)
    new = file.with_suffix(".new")
    new.write_text(file.read_text().replace("press-3", "# press-3"))
    new.replace(file)
    assert keys.find(secret) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_file_may_be_written_on_windows(file, encoding):
    first, second = (add_key(file, name, ["inspect"]) for name in ("press-3", "Prüfplatz"))
    lines = [f"{line}  " for line in file.read_text(encoding="utf-8").upper().splitlines()]
    lines = [line.replace("INSPECT", "inspect") for line in lines]
    text = "\r\n".join(["# keys", "", *lines])
    if encoding == "utf-16-be":
        text = "\ufeff" + text
    file.write_bytes(text.encode(encoding))
    third = add_key(file, "press-4", ["read"])  # after a last line without an end
    keys = KeyFile(file)
    names = ["PRESS-3", "PRÜFPLATZ", "press-4"]
    assert [keys.find(key).name for key in (first, second, third)] == names


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("press-3 inspect abc", "line 1 .* is not like"),
        (f"# a comment\n\npress-3 inspect,write {'0' * 64}", "line 3 .* 'write'"),
        (f"a inspect {'0' * 64}\na read {'1' * 64}", "names a twice"),
    ],
)
def test_wrong_lines_are_named(file, text, told):
    file.write_text(text)
    with pytest.raises(KeyFileError, match=told):
        read_keys(file)


def test_missing_file_is_told_without_its_place(file):
    with pytest.raises(KeyFileError, match="cannot be read: No such file") as raised:
        KeyFile(file)
    assert str(file) not in str(raised.value)


@pytest.mark.parametrize(("name", "scopes"), [("a b", ["inspect"]), ("a", ["write"]), ("a", [])])
def test_key_that_makes_no_sense_is_not_added(file, name, scopes):
    with pytest.raises(KeyFileError):
        add_key(file, name, scopes)
    assert not file.exists()


def test_name_is_given_once(file):
    add_key(file, "press-3", ["inspect"])
    with pytest.raises(KeyFileError, match="press-3 already"):
        add_key(file, "press-3", ["read"])
