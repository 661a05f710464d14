from base64 import b64encode

import pytest

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.webhook.signature import read_secret, signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_message_is_signed_as_the_specification_has_it(tmp_path):
    """The example of the libraries of Standard Webhooks."""
    (tmp_path / "secret").write_text(SECRET)
    secret = read_secret(tmp_path / "secret", "mes")
    message = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signed(secret, message, 1614265330, b'{"test": 2432232314}') == {
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    }


def test_a_secret_may_be_any_text_of_some_length(tmp_path):
    (tmp_path / "secret").write_text("0123456789abcdef\n")
    assert read_secret(tmp_path / "secret", "mes") == b"0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"short", "16 bytes at least"),
        (b"", "16 bytes at least"),
        (b"whsec_" + b64encode(b"short"), "16 bytes at least"),
        (b"whsec_%%%%", "cannot be used: "),
        (b"\xff" * 32, "cannot be used: 'utf-8' codec"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told(tmp_path, text, why):
    (tmp_path / "secret").write_bytes(text)
    with pytest.raises(InvalidSinks, match="sink mes: secret_file = '/.*secret' cannot") as caught:
        read_secret(tmp_path / "secret", "mes")
    assert why in str(caught.value)


def test_a_secret_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidSinks, match="No such file"):
        read_secret(tmp_path / "secret", "mes")
