from base64 import b64encode

import pytest

from onegauge.service.sinks.webhook.secrets import read_authorization, read_secret, signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_message_is_signed_as_the_specification_has_it(tmp_path):
    """The example of the libraries of Standard Webhooks."""
    (tmp_path / "secret").write_text(SECRET)
    secret = read_secret(tmp_path / "secret")
    message = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signed(secret, message, 1614265330, b'{"test": 2432232314}') == {
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    }


def test_a_secret_may_be_any_text_of_some_length(tmp_path):
    (tmp_path / "secret").write_text("0123456789abcdef\n")
    assert read_secret(tmp_path / "secret") == b"0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"short", "16 bytes at least"),
        (b"", "16 bytes at least"),
        (b"whsec_" + b64encode(b"short"), "16 bytes at least"),
        (b"whsec_%%%%", "base64"),
        (b"\xff" * 32, "'utf-8' codec"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told(tmp_path, text, why):
    (tmp_path / "secret").write_bytes(text)
    with pytest.raises(ValueError, match=why):
        read_secret(tmp_path / "secret")


def test_an_authorization_is_one_line(tmp_path):
    (tmp_path / "token").write_text("Bearer abc\n")
    assert read_authorization(tmp_path / "token") == "Bearer abc"


@pytest.mark.parametrize("text", ["", "\n", "Bearer a\nX-Other: 1", "Bearer a\x7f", "Bearer \xe9"])
def test_an_authorization_that_is_no_header_is_told(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(ValueError, match="one line|'ascii' codec"):
        read_authorization(tmp_path / "token")
