"""Certificates as an operator has them, made by openssl. In: names. Out: PEM texts and files."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A private certificate authority in `folder`; clients trust its `root`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.root = folder / "root.crt"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(folder / "root.key"), "-out", str(self.root), "-subj", "/CN=Test root"),
            *("-days", "30"),
        )

    def issue(self, name: str, *, days: int = 30) -> tuple[str, str]:
        """Returns certificate and key for a DNS name as PEM texts; each call makes another key."""
        key, request, made = (self._folder / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
        _openssl(
            *(
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-keyout",
                str(key),
            ),
            *("-out", str(request), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
        )
        _openssl(
            *(
                "x509",
                "-req",
                "-in",
                str(request),
                "-CA",
                str(self.root),
                "-CAkey",
                str(self._folder / "root.key"),
            ),
            *("-out", str(made), "-days", str(days), "-copy_extensions", "copy"),
        )
        return made.read_text(encoding="ascii"), key.read_text(encoding="ascii")

    def locked(self, key: str) -> str:
        """Returns the key encrypted with a passphrase."""
        return _openssl("pkey", "-aes256", "-passout", "pass:secret", given=key)


def put(path: Path, *texts: str) -> None:
    """Writes a file with a key at once, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.write_text("".join(texts), encoding="ascii")
    beside.chmod(0o600)
    beside.replace(path)


def _openssl(*words: str, given: str = "") -> str:
    done = subprocess.run(
        ["openssl", *words], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
