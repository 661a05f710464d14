"""A certificate authority, as a plant has one: it makes keys and certificates."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """The files of a key and of its certificate."""

    key: Path
    certificate: Path


class Authority:
    """Its certificate and those that it signs lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = self._signed("authority", self._key, authority=True).certificate

    def issue(self, name: str) -> Identity:
        """A key and a certificate for a client of this name, or a server of this machine."""
        return self._signed(name, ec.generate_private_key(ec.SECP256R1()), authority=False)

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> Identity:
        now = datetime.now(UTC)
        here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - VALID)
            .not_valid_after(now + VALID)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(here, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        identity = Identity(self._folder / f"{name}.key", self._folder / f"{name}.pem")
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        identity.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return identity
