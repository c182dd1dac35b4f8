"""Files and folders on a real disk."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.system.files import make_folder, sweep, write_whole
from deployer.core.errors import StoreUnavailable


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("strict_umask")
def test_modes_are_as_given_whatever_the_umask(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", 0o755)
    write_whole(tmp_path / "a" / "b" / "file", "x", mode=0o644)
    assert [mode_of(tmp_path / name) for name in ("a", "a/b", "a/b/file")] == [0o755, 0o755, 0o644]


def test_by_default_only_the_owner_gets_in(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    write_whole(tmp_path / "a" / "file", "x")
    assert [mode_of(tmp_path / name) for name in ("a", "a/b", "a/file")] == [0o700, 0o700, 0o600]


def test_a_folder_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o750)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a")
    assert mode_of(tmp_path / "a") == 0o750


def test_a_folder_that_cannot_be_made_is_an_expected_failure_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnavailable, match=f"the folder {path} cannot be created"):
            make_folder(path)


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "file"
    target.write_text("untouched")
    (tmp_path / f".file.{os.getpid()}.{threading.get_ident()}.unfinished").symlink_to(target)
    path.symlink_to(target)
    write_whole(path, "new")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("untouched", "new", False)


def test_a_file_that_cannot_be_written_leaves_what_stood_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable, match="folder cannot be written"):
        write_whole(tmp_path / "folder", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_file_that_is_right_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    write_whole(path, "same")
    before = path.stat().st_ino
    write_whole(path, "same")
    assert path.stat().st_ino == before
    write_whole(path, "other")
    assert path.stat().st_ino != before and path.read_text() == "other"
    path.chmod(0o644)
    write_whole(path, "other")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "others could read it"
    link = tmp_path / "link"
    link.symlink_to(path)
    write_whole(link, "other")
    assert not link.is_symlink()
    twin = tmp_path / "twin"
    twin.hardlink_to(path)
    write_whole(path, "other")
    assert path.stat().st_nlink == 1, "who has the other name could change it"


def test_what_a_kill_left_unfinished_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / ".haproxy.cfg.1.2.unfinished").write_text("half")
    (tmp_path / "edge" / ".keep").write_text("whole")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".keep", "edge"]
