"""Certificates for the embedded host: a CA of its own, and the ways in which a host's certificate can be wrong.

Needs the package `cryptography`, imported when a certificate is made.
"""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any, Literal

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_

__all__ = ["Tls", "make_context"]

Tls = Literal["own_ca", "wrong_ca", "expired", "wrong_name", "self_signed"]
ADDRESS = "127.0.0.1"


def make_context(folder: Path, tls: Tls) -> tuple[ssl.SSLContext, Path, str]:
    """Make a certificate and return the server's context, the CA file for clients, and the SHA-256 fingerprint.

    Parameters
    ----------
    folder : Path
        Where the files are written; the private key stays there and must go with the folder.
    tls : str
        `own_ca`: signed by the CA of the CA file, for 127.0.0.1 and localhost. `wrong_ca`: signed by another CA than
        the file's. `expired`, `wrong_name`: signed by the CA, but past its date, or for another name. `self_signed`:
        signed by nobody else; only its fingerprint can be trusted.

    Raises
    ------
    DataError
        If `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        message = N_("the embedded host needs the package cryptography: pip install 'virtio-study[demo]'")
        raise DataError(message) from error
    authority_key, other_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    authority = _certificate("simulated cluster CA", authority_key, None, None)
    signer = {"wrong_ca": other_key, "self_signed": key}.get(tls, authority_key)
    issuer = {"wrong_ca": "another CA", "self_signed": "simulated host"}.get(tls, "simulated cluster CA")
    leaf = _certificate("simulated host", key, issuer, signer, names=tls != "wrong_name", expired=tls == "expired")
    ca_file, cert_file, key_file = (folder / name for name in ("ca.pem", "host.pem", "host.key"))
    ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    cert_file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context, ca_file, leaf.fingerprint(hashes.SHA256()).hex(":").upper()


def _certificate(
    subject: str, key: Any, issuer: str | None, signer: Any | None, *, names: bool = True, expired: bool = False
) -> Any:
    """A certificate of `key`; without an issuer a CA that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.UTC)
    is_ca = issuer is None
    signing = key if signer is None else signer
    alternatives: list[x509.GeneralName] = [x509.DNSName("another-host.example")]
    if names:
        alternatives = [x509.IPAddress(ipaddress.ip_address(ADDRESS)), x509.DNSName("localhost")]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer or subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=-1 if expired else 30))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if not is_ca:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(signing, hashes.SHA256())
