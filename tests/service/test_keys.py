import stat
from hashlib import sha256
from pathlib import Path

import pytest

from service.keys import Key, KeyFile, KeyFileError, add_key, read_keys


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


def test_file_is_its_owners_alone(file):
    add_key(file, "press-3", ["inspect"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_key_is_revoked_and_another_added_without_a_restart(file):
    old = add_key(file, "press-3", ["inspect"])
    keys = KeyFile(file)
    assert keys.find(old)
    file.write_text("# none any more\n")
    assert keys.find(old) is None
    new = add_key(file, "press-4", ["inspect"])
    assert keys.find(new).name == "press-4"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_text("nonsense")])
def test_file_that_cannot_be_used_any_more_leaves_the_keys_as_they_were(file, spoil, caplog):
    secret = add_key(file, "press-3", ["inspect"])
    keys = KeyFile(file)
    spoil(file)
    assert keys.find(secret).name == "press-3"
    assert "keys unchanged" in caplog.text


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
