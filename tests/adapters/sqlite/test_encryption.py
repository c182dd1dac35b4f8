"""Secrets at rest: what opens, what does not, and what the key file must look like."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from deployer.adapters.sqlite.encryption import (
    SealBroken,
    SealingKey,
    SecretStore,
    open_secret_store,
    read_sealing_key,
    show_sealing_key,
)
from deployer.core.errors import ConfigError, StoreUnavailable

VALUE = "canary-value-of-a-secret"


def test_what_was_sealed_opens_again_and_does_not_stand_in_the_sealed_bytes() -> None:
    secret_store = SecretStore([Fernet.generate_key().decode()])
    sealed = secret_store.seal("wish of 1", VALUE)
    assert secret_store.open("wish of 1", sealed) == VALUE
    assert VALUE.encode() not in sealed


def test_a_sealed_value_that_was_moved_to_another_row_does_not_open() -> None:
    secret_store = SecretStore([Fernet.generate_key().decode()])
    with pytest.raises(SealBroken, match="another purpose"):
        secret_store.open("wish of 2", secret_store.seal("wish of 1", VALUE))


@pytest.mark.parametrize(
    "damage", [lambda sealed: sealed[:-1], lambda sealed: b"", lambda sealed: b"A" + sealed[1:]]
)
def test_a_damaged_value_does_not_open_and_the_message_holds_nothing_of_it(damage: object) -> None:
    assert callable(damage)
    secret_store = SecretStore([Fernet.generate_key().decode()])
    with pytest.raises(SealBroken) as refused:
        secret_store.open("x", damage(secret_store.seal("x", VALUE)))
    assert VALUE not in refused.value.diagnostics()


def test_after_a_new_key_was_put_first_the_old_one_still_opens_and_the_new_one_seals() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = SecretStore([old]).seal("x", VALUE)
    both = SecretStore([new, old])
    assert both.open("x", sealed) == VALUE
    assert SecretStore([new]).open("x", both.seal("x", VALUE)) == VALUE
    with pytest.raises(SealBroken):
        SecretStore([new]).open("x", sealed)


def test_the_key_file_is_made_on_first_use_for_its_owner_only_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "key"
    sealed = open_secret_store(path).seal("x", VALUE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_secret_store(path).open("x", sealed) == VALUE
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    begin = threading.Barrier(8)
    sealed: list[bytes] = []

    def start() -> None:
        begin.wait()
        sealed.append(open_secret_store(tmp_path / "key").seal("x", VALUE))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [open_secret_store(tmp_path / "key").open("x", item) for item in sealed] == [VALUE] * 8


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    open_secret_store(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="owner only"):
        open_secret_store(path)


@pytest.mark.parametrize("text", ["", "not a key", "é"])
def test_a_file_that_holds_no_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        open_secret_store(path)
    assert not text or text not in str(refused.value)


def test_a_key_file_that_cannot_be_made_or_read_is_an_expected_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "key", tmp_path / "file" / "state" / "key", tmp_path / "folder"):
        with pytest.raises(StoreUnavailable, match=str(tmp_path)):
            open_secret_store(path)


def test_a_key_that_does_not_fit_on_the_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        open_secret_store(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


# --- the slot


def test_what_went_through_the_slot_opens_with_the_key_and_with_nothing_of_the_slot(tmp_path: Path) -> None:
    secret_store = open_secret_store(tmp_path / "key")
    show_sealing_key(secret_store.sealing_key, tmp_path / "slot.pub")
    sealing_key = read_sealing_key(tmp_path / "slot.pub")
    assert sealing_key and not hasattr(sealing_key, "open")
    sealed = sealing_key.seal("wish of 1", VALUE)
    assert secret_store.open_sealing_key("wish of 1", sealed) == VALUE
    assert VALUE.encode() not in sealed and sealed != sealing_key.seal("wish of 1", VALUE)
    with pytest.raises(SealBroken, match="another purpose"):
        secret_store.open_sealing_key("wish of 2", sealed)
    with pytest.raises(SealBroken):
        secret_store.open("wish of 1", sealed)


def test_who_has_only_the_slot_cannot_make_what_the_vault_itself_seals(tmp_path: Path) -> None:
    secret_store = open_secret_store(tmp_path / "key")
    with pytest.raises(SealBroken):
        secret_store.open("release 1", secret_store.sealing_key.seal("release 1", VALUE))


def test_what_stood_in_the_queue_opens_after_a_new_key_was_put_first() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = SecretStore([old]).sealing_key.seal("x", VALUE)
    assert SecretStore([new, old]).open_sealing_key("x", sealed) == VALUE
    with pytest.raises(SealBroken):
        SecretStore([new]).open_sealing_key("x", sealed)
    assert SecretStore([new, old]).sealing_key.public == SecretStore([new]).sealing_key.public


@pytest.mark.parametrize("text", [b"", b"AAAA", b"not base64!", b"\xff" * 44, b"A" * 45])
def test_a_slot_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "slot.pub").write_bytes(text)
    with pytest.raises(StoreUnavailable, match="no public key"):
        read_sealing_key(tmp_path / "slot.pub")


def test_a_slot_is_shown_to_all_and_written_only_when_it_changed(tmp_path: Path) -> None:
    path, sealing_key = tmp_path / "slot.pub", SealingKey(bytes(32))
    assert read_sealing_key(path) is None
    show_sealing_key(sealing_key, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    before = path.stat().st_ino
    show_sealing_key(sealing_key, path)
    assert path.stat().st_ino == before
    show_sealing_key(SealingKey(bytes([1] * 32)), path)
    assert read_sealing_key(path) != sealing_key and path.stat().st_ino != before
