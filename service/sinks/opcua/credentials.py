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
    def of(cls, settings: OpcUaSettings) -> "Identity | None":
        """As the settings have it; raises InvalidSinks for files that are no such pair."""
        if not (settings.certificate and settings.private_key):
            return None
        certificate = _loaded(settings.certificate, "certificate")
        key = _loaded(settings.private_key, "private_key")
        if not isinstance(key, RSAPrivateKey) or certificate.public_key() != key.public_key():
            raise InvalidSinks(
                f"{settings.private_key} is not the RSA key of {settings.certificate}"
            )
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


def _loaded(file: Path, name: str) -> Any:
    """A certificate or a key, as PEM or DER."""
    try:
        data = file.read_bytes()
        pem = data.startswith(b"-----BEGIN")
        if name == "certificate":
            return (x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate)(data)
        load = serialization.load_pem_private_key if pem else serialization.load_der_private_key
        return load(data, password=None)
    except (OSError, TypeError, ValueError) as exc:
        raise InvalidSinks(f"{name} {file} is none, or has a password") from exc


class Users(UserManager):
    """Everybody, or the one user; with a certificate only who comes by a secured channel."""

    def __init__(self, settings: OpcUaSettings) -> None:
        """Raises InvalidSinks for a file without a password."""
        self._user, self._password = settings.user, ""
        self._secure = settings.certificate is not None
        if settings.password_file:
            try:
                self._password = settings.password_file.read_text().strip()
            except (OSError, ValueError) as exc:
                raise InvalidSinks(f"{settings.password_file} cannot be read") from exc
            if not self._password:
                raise InvalidSinks(f"{settings.password_file} has no password")

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
