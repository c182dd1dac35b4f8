"""Folders of certificates as people and tools leave them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deployer.adapters.haproxy.certificates import CertificateFolder, expired, read_certificates
from deployer.core.errors import CertificateInvalid
from testing.certificates import Authority, put


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "certificates"
    made.mkdir()
    return made


def test_chain_and_key_may_be_one_file_or_two_or_a_folder_of_certbots(
    authority: Authority, folder: Path, tmp_path: Path
) -> None:
    one, two, three = (authority.issue(f"{name}.example.com") for name in ("one", "two", "three"))
    root = authority.root.read_text()
    put(folder / "one.pem", *one, root)
    put(folder / "two.crt", two[0], root)
    put(folder / "two.key", two[1])
    archive = tmp_path / "archive"
    parts = {"cert": three[0], "chain": root, "fullchain": three[0] + root, "privkey": three[1]}
    (folder / "three").mkdir()
    for name, text in parts.items():
        put(archive / f"{name}1.pem", text)
        (folder / "three" / f"{name}.pem").symlink_to(archive / f"{name}1.pem")
    (folder / "README").write_text("certbot's")
    found = read_certificates(folder)
    assert set(found) == {"one.example.com.pem", "two.example.com.pem", "three.example.com.pem"}
    for name, (certificate, key) in zip(("one", "two", "three"), (one, two, three), strict=True):
        text = found[f"{name}.example.com.pem"]
        assert text.startswith(certificate.strip()) and text.endswith(f"{key.strip()}\n")
        assert text.count("BEGIN CERTIFICATE") == 2, "with those that vouch for it"
    with pytest.raises(CertificateInvalid):
        read_certificates(folder / "one.pem")


def test_a_certificate_may_vouch_for_itself_or_stand_for_every_name(
    authority: Authority, folder: Path
) -> None:
    put(folder / "any.pem", *authority.issue("*.example.com"))
    put(folder / "again.pem", *authority.issue("*.example.com"))
    put(folder / "root.pem", authority.root.read_text(), (authority.root.parent / "root.key").read_text())
    assert set(read_certificates(folder)) == {"_.example.com.pem", "_.example.com_1.pem", "certificate.pem"}


def test_what_is_wrong_is_named_with_its_file_and_shows_no_key(authority: Authority, folder: Path) -> None:
    certificate, key = authority.issue("shop.example.com")
    _, other = authority.issue("other.example.com")
    cases = {
        "holds no certificate": {},
        "shop.pem has no private key that fits": {"shop.pem": certificate},
        "shop.key holds a key, and no certificate fits it": {"shop.key": key},
        "shop.pem has no private key": {"shop.pem": certificate + other},
        "the key in shop.pem has a passphrase": {"shop.pem": certificate + authority.locked(key)},
        "the key in shop.pem cannot be read": {"shop.pem": certificate + _spoilt(key)},
        "a certificate in shop.pem cannot be read": {"shop.pem": _spoilt(certificate) + key},
        "shop.pem holds neither a certificate nor a key": {"shop.pem": "soon"},
        "shop.pem cannot be read (UnicodeDecodeError)": {"shop.pem": "schön"},
    }
    for told, files in cases.items():
        for path in folder.iterdir():
            path.unlink()
        for name, text in files.items():
            put_any(folder / name, text)
        with pytest.raises(CertificateInvalid) as caught:
            read_certificates(folder)
        said = caught.value.diagnostics()
        assert told in said.replace(f"{folder}/", ""), said
        assert "[certificate-invalid]" in said and key.split("\n")[1] not in said
        assert caught.value.hint


def put_any(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def _spoilt(pem: str) -> str:
    lines = pem.split("\n")
    return "\n".join([lines[0], "A" + lines[1][::-1][1:], *lines[2:]])


def test_a_key_that_everybody_can_read_is_refused(authority: Authority, folder: Path) -> None:
    put(folder / "shop.pem", *authority.issue("shop.example.com"))
    (folder / "shop.pem").chmod(0o644)
    with pytest.raises(CertificateInvalid, match="open to every user") as caught:
        read_certificates(folder)
    assert "chmod 600" in caught.value.hint
    with pytest.raises(CertificateInvalid, match="no folder"):
        read_certificates(folder / "none")


def test_the_end_of_a_certificate_is_told(authority: Authority, folder: Path) -> None:
    put(folder / "shop.pem", *authority.issue("shop.example.com", days=1))
    (pem,) = read_certificates(folder).values()
    assert expired(pem, time.time()) == ""
    assert expired(pem, time.time() + 2 * 86_400).startswith("shop.example.com ended on 20")


def test_a_folder_has_changed_once_it_rests_and_until_it_is_read(authority: Authority, folder: Path) -> None:
    put(folder / "shop.pem", *authority.issue("shop.example.com"))
    watched = CertificateFolder(folder)
    assert [watched.changed(), watched.changed(), watched.changed()] == [False, True, True]
    watched.read()
    assert not watched.changed()
    put(folder / "shop.pem", "soon")
    assert [watched.changed(), watched.changed()] == [False, True]
    with pytest.raises(CertificateInvalid):
        watched.read()
    assert not watched.changed(), "what is wrong is told once"
