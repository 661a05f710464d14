"""Certificates of a server and of a client, made for the tests."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from asyncua.crypto.cert_gen import (
    dump_private_key_as_pem,
    generate_private_key,
    generate_self_signed_app_certificate,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

SERVER_URI, CLIENT_URI = "urn:gateway:onegauge", "urn:scada"


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and of its key."""

    certificate: Path
    key: Path


def made(folder: Path, uri: str, usage: x509.ObjectIdentifier) -> Pair:
    key = generate_private_key()
    names = [x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")]
    certificate = generate_self_signed_app_certificate(key, "test", {}, names, [usage])
    name = uri.replace(":", "-")
    pair = Pair(folder / f"{name}.der", folder / f"{name}.pem")
    pair.certificate.write_bytes(certificate.public_bytes(Encoding.DER))
    pair.key.write_bytes(dump_private_key_as_pem(key))
    return pair


@pytest.fixture(scope="session")
def server_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return made(tmp_path_factory.mktemp("server"), SERVER_URI, ExtendedKeyUsageOID.SERVER_AUTH)


@pytest.fixture(scope="session")
def client_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return made(tmp_path_factory.mktemp("client"), CLIENT_URI, ExtendedKeyUsageOID.CLIENT_AUTH)
