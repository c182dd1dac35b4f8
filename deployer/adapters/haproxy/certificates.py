"""A folder of certificates. In: its path. Out: PEM texts, each with chain and key, as HAProxy reads them;
CertificateInvalid names the faulty file. Never writes, and never shows a key in an error.

Operators may name and split the files in three ways: chain and key in one file, NAME.crt beside NAME.key, or
a folder that certbot keeps. A key belongs to the certificate with its public half.
"""

from __future__ import annotations

import datetime
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from deployer.core.errors import CertificateInvalid

_SUFFIXES = (".pem", ".crt", ".cer", ".key")
_MOST_BYTES = 256 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ((?:[A-Z]+ )*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_FORMS = (
    "PEM files ending in .pem, .crt, .cer or .key: chain and key in one file, or NAME.crt beside NAME.key,"
    " or a folder of certbot's"
)


@dataclass(frozen=True)
class _Chain:
    """A certificate with its issuers' certificates."""

    path: Path
    leaf: x509.Certificate
    text: str
    length: int


class CertificateFolder:
    """Certificate folder, with the state of its files that was read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: object = None
        self._read: object = None

    def changed(self) -> bool:
        """True if the files are new and no longer changing: a renewal writes several files, one after
        another.
        """
        now = self._state()
        still, self._before = now == self._before, now
        return still and now != self._read

    def read(self) -> dict[str, str]:
        """Returns file name → PEM text. Raises CertificateInvalid."""
        self._read = self._state()
        return read_certificates(self._path)

    def _state(self) -> object:
        found: list[tuple[str, int, int, int]] = []
        for path in _files(self._path):
            try:
                now = path.stat()
            except OSError:
                continue
            found.append((str(path), now.st_mtime_ns, now.st_size, now.st_ino))
        return found


def read_certificates(folder: Path) -> dict[str, str]:
    """Returns file name → PEM text, the key last. Raises CertificateInvalid."""
    if not folder.is_dir():
        raise CertificateInvalid(f"{folder} is no folder that can be read", hint=f"it should hold {_FORMS}")
    chains: dict[bytes, _Chain] = {}
    keys: dict[bytes, tuple[Path, str]] = {}
    for path in _files(folder):
        text = _text(path)
        for key, pem in _keys(path, text):
            keys[key] = (path, pem)
        chain = _chain(path, text)
        if chain and chain.length > getattr(chains.get(_der(chain.leaf)), "length", 0):
            chains[_der(chain.leaf)] = chain
    return _pair(folder, chains, keys)


def _pair(
    folder: Path, chains: Mapping[bytes, _Chain], keys: Mapping[bytes, tuple[Path, str]]
) -> dict[str, str]:
    found: dict[str, str] = {}
    used: set[bytes] = set()
    for chain in sorted(chains.values(), key=lambda chain: str(chain.path)):
        public = _public(chain.leaf.public_key())
        if public in keys:
            used.add(public)
            found[_name(chain.leaf, found)] = f"{chain.text}\n{keys[public][1]}\n"
        elif not _is_issuer(chain.leaf):
            raise CertificateInvalid(
                f"{chain.path} has no private key that fits", hint="the key belongs in the same folder"
            )
    for public, (path, _) in keys.items():
        if public not in used:
            raise CertificateInvalid(
                f"{path} holds a key, and no certificate fits it", hint="was only one of the two renewed?"
            )
    if not found:
        raise CertificateInvalid(f"{folder} holds no certificate", hint=f"it should hold {_FORMS}")
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yields the PEM files of the folder and of its subfolders, as certbot's `live` has one for each name."""
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in _SUFFIXES and not hidden and path.is_file():
            yield path


def _text(path: Path) -> str:
    try:
        mode, text = path.stat().st_mode, path.read_bytes()[:_MOST_BYTES].decode("ascii")
    except (OSError, ValueError) as error:
        raise CertificateInvalid(f"{path} cannot be read ({type(error).__name__})", hint=_FORMS) from None
    if not _CERTIFICATE.search(text) and not _KEY.search(text):
        raise CertificateInvalid(f"{path} holds neither a certificate nor a key", hint=f"expected: {_FORMS}")
    if _KEY.search(text) and mode & stat.S_IRWXO:
        raise CertificateInvalid(
            f"{path} holds a key and is open to every user of this machine", hint=f"chmod 600 {path}"
        )
    return text


def _keys(path: Path, text: str) -> Iterator[tuple[bytes, str]]:
    for match in _KEY.finditer(text):
        try:
            key: PrivateKeyTypes = serialization.load_pem_private_key(match.group().encode(), password=None)
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            encrypted = isinstance(error, TypeError)
            raise CertificateInvalid(
                f"the key in {path} {'has a passphrase' if encrypted else 'cannot be read'}",
                hint="`openssl pkey -in FILE` shows what is wrong, and writes it without a passphrase",
            ) from None
        yield _public(key.public_key()), match.group()


def _chain(path: Path, text: str) -> _Chain | None:
    blocks = [match.group() for match in _CERTIFICATE.finditer(text)]
    try:
        loaded = [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateInvalid(
            f"a certificate in {path} cannot be read",
            hint="`openssl x509 -in FILE -text` shows what is wrong",
        ) from None
    return _Chain(path, loaded[0], "\n".join(blocks), len(blocks)) if loaded else None


def expired(pem: str, now: float) -> str:
    """Returns the certificate's names and its end, for an error text; empty while it is valid."""
    leaf = x509.load_pem_x509_certificate(pem.encode())
    end = leaf.not_valid_after_utc
    over = end <= datetime.datetime.fromtimestamp(now, datetime.UTC)
    return f"{', '.join(_names(leaf)) or 'a certificate'} ended on {end:%Y-%m-%d}" if over else ""


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return list(names.get_values_for_type(x509.DNSName))


def _name(leaf: x509.Certificate, taken: Mapping[str, str]) -> str:
    """Returns the file name, the same for a renewed certificate. HAProxy serves the folder's first
    certificate to clients that ask for an unknown name.
    """
    names = _names(leaf)
    word = re.sub(r"[^a-z0-9.-]", "_", names[0].lower()) if names else "certificate"
    choices = (f"{word}{f'_{n}' if n else ''}.pem" for n in range(len(taken) + 1))
    return next(name for name in choices if name not in taken)


def _is_issuer(leaf: x509.Certificate) -> bool:
    """True for an issuer's certificate, which is part of chains and needs no key here."""
    try:
        return leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _public(key: PublicKeyTypes) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
