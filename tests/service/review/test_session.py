import pytest

from onegauge.service.http.keys import Key
from onegauge.service.review.session import LIFETIME_S, Sessions

KEY = Key("Schicht-Ä:1", frozenset({"review"}), "ab" * 32)
SECRET = b"s" * 32


def find(*keys: Key):
    return {key.name: key for key in keys}.get


def at(seconds: float, secret: bytes = SECRET) -> Sessions:
    return Sessions(secret, clock=lambda: seconds)


def test_a_session_is_of_its_key_until_it_is_over():
    cookie = at(1000).begin(KEY)
    assert at(1000 + LIFETIME_S - 1).holder(cookie, find(KEY)) == KEY
    assert at(1000 + LIFETIME_S).holder(cookie, find(KEY)) is None


def test_a_key_that_is_gone_or_was_replaced_ends_its_sessions():
    cookie = at(0).begin(KEY)
    assert at(1).holder(cookie, find()) is None
    assert at(1).holder(cookie, find(Key(KEY.name, KEY.scopes, "cd" * 32))) is None


def test_who_knows_the_file_of_the_keys_alone_makes_no_session():
    assert at(1).holder(at(0, secret=b"").begin(KEY), find(KEY)) is None


def test_gateways_with_the_same_secret_take_each_others_sessions():
    assert at(5).holder(at(0).begin(KEY), find(KEY)) == KEY


def test_no_part_of_a_cookie_can_be_changed():
    other = Key("other", KEY.scopes, KEY.digest)
    name, end, signature = at(0).begin(KEY).split(".")
    others, *_ = at(0).begin(other).split(".")
    for changed in (f"{others}.{end}.{signature}", f"{name}.{int(end) + 1}.{signature}"):
        assert at(1).holder(changed, find(KEY, other)) is None


@pytest.mark.parametrize(
    "cookie", ["", "..", "a.b.c", "é.1.2", "QQ==.9999999999999", "QQ==.99999999999.é", "////.1.2"]
)
def test_what_is_no_cookie_of_ours_is_nobodys(cookie):
    assert at(1).holder(cookie, find(KEY, Key("A", KEY.scopes, "cd" * 32))) is None
