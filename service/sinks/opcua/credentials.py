"""Who a server of OPC UA is, and who may use it."""

import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.opcua.settings import OpcUaSettings


@dataclass(frozen=True)
class Identity:
    """The certificate of a server, and its key."""

    certificate: x509.Certificate
    key: RSAPrivateKey

    @classmethod
    def of(cls, settings: OpcUaSettings, name: str) -> "Identity | None":
        """As the settings of a sink have it; raises InvalidSinks for files that are no pair."""
        certificate = settings.read(name, "certificate", _certificate)
        key = settings.read(name, "private_key", _rsa_key)
        if certificate is None or key is None:
            return None
        if certificate.public_key() != key.public_key():
            told = f"sink {name}: private_key = '{settings.private_key}'"
            raise InvalidSinks(f"{told} is not that of certificate = '{settings.certificate}'")
        return cls(certificate, key)

    @property
    def uri(self) -> str | None:
        """The URI that the certificate is for: clients compare it with the server's."""
        try:
            names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return None
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        return uris[0] if uris else None


def _certificate(file: Path) -> x509.Certificate:
    """As PEM or DER; raises OSError and ValueError."""
    data = file.read_bytes()
    load = x509.load_pem_x509_certificate if _is_pem(data) else x509.load_der_x509_certificate
    return load(data)


def _rsa_key(file: Path) -> RSAPrivateKey:
    """The same, and TypeError of one with a password."""
    data = file.read_bytes()
    pem, der = serialization.load_pem_private_key, serialization.load_der_private_key
    key = (pem if _is_pem(data) else der)(data, password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("it is no RSA key")
    return key


def _is_pem(data: bytes) -> bool:
    return data.startswith(b"-----BEGIN")


def _password(file: Path) -> str:
    """The line of a file; raises OSError and ValueError."""
    if password := file.read_text().strip():
        return password
    raise ValueError("it has no password")


class Users(UserManager):
    """Everybody, or the one user; with a certificate only who comes by a secured channel."""

    def __init__(self, settings: OpcUaSettings, name: str) -> None:
        """Raises InvalidSinks for a file without a password."""
        self._user = settings.user
        self._password = settings.read(name, "password_file", _password) or ""
        self._secure = settings.certificate is not None

    def get_user(
        self,
        iserver: InternalServer,  # noqa: ARG002
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        """Who may read, and write triggers; None for who may not."""
        # the library would take a session on a channel without security, which is for discovery
        if self._secure and not certificate:
            return None
        known = not self._user or (_same(username, self._user) and _same(password, self._password))
        return User(role=UserRole.User) if known else None


def _same(given: str | None, known: str) -> bool:
    return hmac.compare_digest((given or "").encode(), known.encode())
