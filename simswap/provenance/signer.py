"""Who signs what we write: a certificate and its key, by configuration or made once per machine.

SIMSWAP_SIGN_CERTIFICATE and SIMSWAP_SIGN_KEY name PEM files, or hold the PEM text itself, as
secrets do; SIMSWAP_TIMESTAMP_URL names a server that attests the time of signing (RFC 3161).
Without them a self-signed certificate is made in the user's data folder (SIMSWAP_HOME names
another): it shows that a file is as it was signed, but to others its signer is unknown.
"""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simswap.errors import SigningError
from simswap.files import HOME, data_folder, printable, read_beginning, write_private

logger = logging.getLogger(__name__)

CERTIFICATE, KEY = "SIMSWAP_SIGN_CERTIFICATE", "SIMSWAP_SIGN_KEY"
TIMESTAMP_URL = "SIMSWAP_TIMESTAMP_URL"
OWN_FILE = "signer.pem"
OWN_NAME = "SimSwap, self-signed"
_OWN_YEARS = 10
_MAX_PEM_BYTES = 100_000
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Signer:
    """A certificate that may sign, and its key.

    certificates: PEM, the signer's own first, then those that vouch for it. key: PEM, PKCS 8.
    algorithm: as C2PA names it, such as "es256". serial_number: of the signer's certificate.
    expires: when it ends, UTC. timestamp_url: of a server that attests the time, or None.
    is_self_made: made on this machine, so that nobody else knows it.
    """

    certificates: str
    key: str = field(repr=False)
    algorithm: str
    serial_number: int
    expires: datetime.datetime
    timestamp_url: str | None = None
    is_self_made: bool = False

    @property
    def has_expired(self) -> bool:
        """Whether the certificate has ended by now."""
        return datetime.datetime.now(datetime.UTC) >= self.expires

    def check_time(self) -> None:
        """Raise SigningError if the certificate has expired by now."""
        if self.has_expired:
            raise SigningError(
                f"The signing certificate expired on {self.expires:%Y-%m-%d}. Renew it."
            )


def find_signer(environment: Mapping[str, str] = os.environ) -> Signer:
    """The configured signer, or else this machine's own, which is made if there is none yet.

    Raises SigningError, in a sentence that names no secret, if neither can be had.
    """
    certificate, key = environment.get(CERTIFICATE), environment.get(KEY)
    url = environment.get(TIMESTAMP_URL) or None
    if url is not None and not url.startswith(("http://", "https://")):
        raise SigningError(f"{TIMESTAMP_URL} is not an address. Give http://... or https://...")
    if certificate and key:
        pem = _pem_of(CERTIFICATE, certificate), _pem_of(KEY, key)
        signer = _signer(*pem, f"{CERTIFICATE} and {KEY}", url)
        signer.check_time()
        return signer
    if certificate or key:
        given, missing = (CERTIFICATE, KEY) if certificate else (KEY, CERTIFICATE)
        raise SigningError(f"{given} is set, but {missing} is not. Set both, or neither.")
    folder = data_folder(environment)
    if folder is None:
        raise SigningError(
            f"This user has no home folder for a certificate. Name a folder with {HOME}."
        )
    return _own_signer(folder / OWN_FILE, url)


def known_signer() -> Signer | None:
    """As find_signer; None where there is none, for those who only verify."""
    try:
        return find_signer()
    except SigningError:
        return None


def _pem_of(name: str, value: str) -> bytes:
    """PEM as a variable holds it: the text itself, or the path of a file."""
    if "-----BEGIN" in value:
        return value.replace("\\n", "\n").encode()  # some consoles keep a secret on one line
    try:
        return read_beginning(Path(value), _MAX_PEM_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise SigningError(
            f"{name} cannot be read ({reason}). Give the path of a PEM file, or its text."
        ) from error


def _signer(
    certificates: bytes, key: bytes, where: str, url: str | None, is_self_made: bool = False
) -> Signer:
    """Read a certificate chain and a key, and see that they go together.

    where: what a message calls the place that they come from.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(certificates)
        private = load_pem_private_key(key, password=None)
        public = chain[0].public_key()
    except TypeError as error:  # what the library raises for a key that needs a password
        raise SigningError(f"The key in {where} has a password. Give one without.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(
            f"{where}: no certificate and key can be read there. Give both as PEM."
        ) from error
    if _plain(private.public_key()) != _plain(public):
        raise SigningError(f"{where}: the key is not the certificate's. Give the one that is.")
    algorithm = _algorithm(private)
    if algorithm is None:
        raise SigningError(f"{where}: keys of this kind cannot sign. Use P-256, Ed25519 or RSA.")
    start, expires = chain[0].not_valid_before_utc, chain[0].not_valid_after_utc
    if datetime.datetime.now(datetime.UTC) < start:
        raise SigningError(f"The signing certificate is not valid before {start:%Y-%m-%d}.")
    if len(chain) == 1 and chain[0].issuer != chain[0].subject:
        raise SigningError(
            f"{where}: the certificate comes from an authority, whose own is missing, by which it "
            "would be known again. Put that behind it."
        )
    text = b"".join(_pem(certificate) for certificate in chain).decode()
    serial = chain[0].serial_number
    return Signer(text, _pem(private).decode(), algorithm, serial, expires, url, is_self_made)


def _algorithm(key: object) -> str | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _CURVES.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    return "ps256" if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048 else None


def _plain(public_key: object) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return public_key.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)


def _pem(item: object) -> bytes:
    """A certificate, or a private key (unencrypted, PKCS 8), as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as form

    if isinstance(item, x509.Certificate):
        return item.public_bytes(form.Encoding.PEM)
    return item.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _own_signer(path: Path, url: str | None) -> Signer:
    """This machine's own signer; what is wrong with its file is logged with the path.

    A message has the file's name only: it goes to visitors of a demo too.
    """
    name = path.name
    try:
        if not path.exists():
            write_private(path, _new_certificate_and_key(), keep=True)
        signer = _read_own(path, name, url)
        if signer.has_expired:
            write_private(path, _new_certificate_and_key(), keep=False)
            signer = _read_own(path, name, url)
    except OSError as error:
        logger.warning("No certificate at %s: %s", printable(str(path)), error.strerror)
        raise SigningError(
            f"This machine's own certificate {name} cannot be read or made ({error.strerror}). "
            f"Check the folder's rights, or name another with {HOME}."
        ) from error
    except SigningError:
        logger.warning("No certificate at %s", printable(str(path)))
        raise
    return signer


def _read_own(path: Path, name: str, url: str | None) -> Signer:
    pem = read_beginning(path, _MAX_PEM_BYTES)
    try:
        return _signer(pem, pem, name, url, is_self_made=True)
    except SigningError as error:
        raise SigningError(f"{error} Or delete the file, and a new one is made.") from error


def _new_certificate_and_key() -> bytes:
    """PEM of a P-256 key and its self-signed certificate, fit for C2PA; nothing of the user."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    attributes = ((NameOID.ORGANIZATION_NAME, OWN_NAME), (NameOID.COMMON_NAME, OWN_NAME))
    name = x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * _OWN_YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # To sign, and for none of the eight other uses.
        .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    )
    return _pem(key) + _pem(builder.sign(key, hashes.SHA256()))
