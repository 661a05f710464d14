import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.opcua.credentials import Identity, Users
from onegauge.service.sinks.opcua.settings import OpcUaSettings
from tests.service.sinks.opcua.conftest import SERVER_URI

NAME = "s"


def settings(**known: object) -> OpcUaSettings:
    return OpcUaSettings(kind="opcua", endpoint="opc.tcp://0.0.0.0:4840", **known)


def test_certificate_is_read_as_der_and_as_pem(server_pair, tmp_path):
    files = {"certificate": server_pair.certificate, "private_key": server_pair.key}
    identity = Identity.of(settings(**files), NAME)
    assert identity.uri == SERVER_URI
    pem = tmp_path / "certificate"
    pem.write_bytes(identity.certificate.public_bytes(Encoding.PEM))
    again = Identity.of(settings(**files | {"certificate": pem}), NAME)
    assert again.certificate == identity.certificate
    assert Identity.of(settings(), NAME) is None


def test_key_of_another_certificate_is_refused(server_pair, client_pair):
    with pytest.raises(
        InvalidSinks, match=f"sink s: private_key = '{client_pair.key}' is not that of"
    ):
        Identity.of(
            settings(certificate=server_pair.certificate, private_key=client_pair.key), NAME
        )


def test_files_that_are_no_certificate_or_key_are_named(server_pair, tmp_path):
    text, absent = tmp_path / "text", tmp_path / "absent"
    text.write_text("-----BEGIN none")
    with pytest.raises(InvalidSinks, match=f"sink s: certificate = '{text}' cannot be used: "):
        Identity.of(settings(certificate=text, private_key=server_pair.key), NAME)
    with pytest.raises(InvalidSinks, match=f"sink s: private_key = '{text}' cannot be used: "):
        Identity.of(settings(certificate=server_pair.certificate, private_key=text), NAME)
    with pytest.raises(InvalidSinks, match=f"sink s: certificate = '{absent}' cannot be used: "):
        Identity.of(settings(certificate=absent, private_key=server_pair.key), NAME)


def test_password_is_a_line_of_its_file(tmp_path):
    file = tmp_path / "password"
    with pytest.raises(
        InvalidSinks, match=f"sink s: password_file = '{file}' cannot be used: No such"
    ):
        Users(settings(user="scada", password_file=file), NAME)
    file.write_text("  \n")
    with pytest.raises(InvalidSinks, match=f"'{file}' cannot be used: it has no password"):
        Users(settings(user="scada", password_file=file), NAME)
    file.write_text("mixed line\n")
    users = Users(settings(user="scada", password_file=file), NAME)
    assert users.get_user(None, "scada", "mixed line")
    for user, password in (("scada", "other"), ("other", "mixed line"), ("scada", None)):
        assert users.get_user(None, user, password) is None
    assert users.get_user(None) is None


def test_everybody_comes_in_without_a_user_but_not_by_an_open_channel(server_pair):
    assert Users(settings(), NAME).get_user(None)
    secured = Users(
        settings(certificate=server_pair.certificate, private_key=server_pair.key), NAME
    )
    assert secured.get_user(None, certificate=b"of the client")
    assert secured.get_user(None, certificate=b"") is None
