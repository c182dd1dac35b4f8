"""Folders of releases and plans on a real disk."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from deployer.adapters.docker.compose.bundle_folders import BundleFolders, name_of
from deployer.core.errors import StoreUnavailable, TooManyRequests
from deployer.core.model import Bundle
from deployer.core.release.plan_folders import MOST_PLANS

pytestmark = pytest.mark.case("X12")


def bundle(text: str = "services: {}") -> Bundle:
    return Bundle("compose.yaml", {"compose.yaml": text, "conf/a.txt": text * 2})


def left(state: Path) -> list[str]:
    """Every file below the state folder."""
    return sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())


def test_nothing_of_a_plan_stays(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    for n in range(50):
        with folders.plan(bundle(f"# {n}")):
            folder = folders.unpack(bundle(f"# {n}"), plan=True)
            assert (folder / "conf/a.txt").read_text() == f"# {n}" * 2
            assert not (folders.mounted / folder.name).exists(), "a plan mounts nothing"
    assert left(tmp_path) == [] and list(folders.read.iterdir()) == []


def test_nothing_of_a_plan_that_fails_stays(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    with pytest.raises(RuntimeError), folders.plan(bundle()):
        folders.unpack(bundle(), plan=True)
        raise RuntimeError
    assert left(tmp_path) == []


def test_a_plan_of_a_releases_own_files_removes_nothing(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    folders.unpack(bundle())
    before = left(tmp_path)
    with folders.plan(bundle()):
        folders.unpack(bundle(), plan=True)
    assert left(tmp_path) == before and len(before) == 4


def test_a_deploy_of_the_same_files_during_a_plan_keeps_them(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    with folders.plan(bundle()):
        folders.unpack(bundle(), plan=True)
        assert folders.planning(bundle())
        folders.unpack(bundle())
        assert not folders.planning(bundle())
        with folders.plan(bundle()):
            folders.unpack(bundle(), plan=True)
    assert len(left(tmp_path)) == 4


def test_a_deploy_of_another_process_during_a_plan_keeps_them(tmp_path: Path) -> None:
    folders, other = BundleFolders(tmp_path), BundleFolders(tmp_path)
    with folders.plan(bundle()):
        folders.unpack(bundle(), plan=True)
        other.unpack(bundle())
    assert len(left(tmp_path)) == 4


def test_two_plans_of_one_content_leave_it_to_the_last(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    inside, over = threading.Event(), threading.Event()
    seen: list[bool] = []

    def longer() -> None:
        with folders.plan(bundle()):
            folder = folders.unpack(bundle(), plan=True)
            inside.set()
            over.wait(10)
            seen.append((folder / "compose.yaml").exists())

    thread = threading.Thread(target=longer)
    thread.start()
    assert inside.wait(10)
    with folders.plan(bundle()):
        folders.unpack(bundle(), plan=True)
    over.set()
    thread.join(10)
    assert seen == [True] and left(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_plan(tmp_path: Path) -> None:
    killed = BundleFolders(tmp_path)
    unfinished = killed.plan(bundle())
    unfinished.__enter__()
    killed.unpack(bundle(), plan=True)
    released = BundleFolders(tmp_path)
    released.unpack(bundle("# another"))
    assert len(left(tmp_path)) == 2 + 1 + 4
    with released.plan(bundle("# new")):
        pass
    assert {Path(path).parts[1] for path in left(tmp_path)} == {name_of(bundle("# another"))}


def test_a_full_disk_refuses_a_plan_and_no_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = BundleFolders(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=200_000_000))
    with pytest.raises(StoreUnavailable, match="200 MB left") as refused, folders.plan(bundle()):
        pass
    assert refused.value.hint and left(tmp_path) == []
    assert (folders.unpack(bundle()) / "compose.yaml").exists()


def test_more_plans_at_once_than_there_is_room_for_are_refused(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    opened = [folders.plan(bundle(f"# {n}")) for n in range(MOST_PLANS)]
    for one in opened:
        one.__enter__()
    with pytest.raises(TooManyRequests), folders.plan(bundle("# more")):
        pass
    for one in opened:
        one.__exit__(None, None, None)
    with folders.plan(bundle("# more")):
        pass
    assert left(tmp_path) == []


def test_old_folders_go_but_not_those_of_plans_and_kept_releases(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    with folders.plan(bundle("# plan")):
        for one, plan in ((bundle("# kept"), False), (bundle("# old"), False), (bundle("# plan"), True)):
            folder = folders.unpack(one, plan=plan)
            for copy in (folder, folders.mounted / folder.name):
                if copy.exists():
                    os.utime(copy, (1.0, 1.0))
        assert folders.keep([bundle("# kept")], ()) == 2
        assert {path.name for path in folders.read.iterdir()} == {
            name_of(bundle("# kept")),
            name_of(bundle("# plan")),
        }


def mounted_file(folders: BundleFolders) -> Path:
    """A release's file as containers mount it."""
    return folders.mounted / folders.unpack(bundle()).name / "conf/a.txt"


def write(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.case("H09")
def test_what_a_container_wrote_is_kept_before_the_file_is_restored(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    path = mounted_file(folders)
    with path.open("a", encoding="utf-8") as container:
        for n, row in enumerate(("first", "second"), 1):
            container.write(row)
            container.flush()
            assert mounted_file(folders).read_text() == "services: {}" * 2
            (kept,) = folders.keep_written(str(path))
            assert Path(kept).read_text() == "services: {}" * 2 + "firstsecond"[: [5, 11][n - 1]]
    write(path, "of another container")
    assert {Path(kept).read_text()[24:] for kept in folders.keep_written(str(path))} == {
        "firstsecond",
        "of another container",
    }


@pytest.mark.case("H09")
def test_a_file_as_it_came_and_what_is_no_file_of_a_release_are_not_kept(tmp_path: Path) -> None:
    folders = BundleFolders(tmp_path)
    path = mounted_file(folders)
    (folders.read / path.relative_to(folders.mounted)).unlink()
    assert folders.keep_written(str(path)) == [], "the folder is what its name tells"
    link = path.with_name("link")
    link.symlink_to("/etc/hostname")
    for other in (link, path.parent, tmp_path / "key", folders.mounted):
        assert folders.keep_written(str(other)) == []
    link.unlink()
    write(path, "row")
    assert len(folders.keep_written(str(path))) == 1, "the folder is not what its name tells"
    assert not list(folders.written.rglob("hostname"))


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.case("H09")
def test_a_file_of_another_user_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = BundleFolders(tmp_path)
    path = mounted_file(folders)
    write(path, "row")
    monkeypatch.setattr(os, "link", refuse)
    (kept,) = folders.keep_written(str(path))
    assert Path(kept).read_text().endswith("}row") and folders.keep_written(str(path)) == [kept]


@pytest.mark.case("H09")
def test_a_file_that_cannot_be_kept_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = BundleFolders(tmp_path)
    path = mounted_file(folders)
    write(path, "row")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(StoreUnavailable, match="cannot be kept: Operation not permitted"):
        folders.unpack(bundle())
    assert path.read_text().endswith("row")
