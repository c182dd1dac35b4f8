"""The files of releases and plans on the disk. In: bundles. Out: folders named by their content.

A bundle has two copies: Compose reads one, which no container mounts; containers mount the other. Containers
run under any user, so these files and their folders are readable by all; the state folder, which only the
deployer's user may enter, keeps other users of the machine away. The engine opens the source of a mount as
root.

A plan has only the copy that Compose reads, and only for its duration. A mark beside the folders notes that
only plans use a folder: the mark is removed when a release has the same files, and the folders that a killed
process left are removed by the next plan.

Containers of an older deployer may mount a file writable. Before such a file is restored or removed, a second
name of the same file keeps its content: the container goes on writing to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deployer.adapters.system.files import make_folder, write_whole
from deployer.core.errors import ComposeRejected, StoreUnavailable
from deployer.core.model import Bundle
from deployer.core.names import is_bundle_path
from deployer.core.release.plan_folders import bytes_of, judge_plan

_RECENTLY = 3600.0  # seconds


@dataclass(eq=False)
class _Plan:
    """Plans in progress with the same content."""

    size: int
    users: int = 1


class BundleFolders:
    """The folders below one state folder; one process makes plans there, several processes may unpack."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.read = state / "compose"  # Compose reads here; no container of ours mounts it
        self.mounted = state / "bundles"  # containers mount the files from here
        self.written = state / "written"  # FOLDER/PATH/NAME: what containers wrote to mounted files
        self._marks = state / "plans"
        self._lock = threading.Lock()
        self._plans: dict[str, _Plan] = {}  # name → plans that are the only ones to use the folder

    def unpack(self, bundle: Bundle, *, plan: bool = False) -> Path:
        """Returns the folder that Compose reads: the same files keep the same path. Raises
        StoreUnavailable.
        """
        name = name_of(bundle)
        if not plan:
            with self._lock:
                self._plans.pop(name, None)
                with suppress(OSError):  # the disk may be read-only: the next write reports it
                    (self._marks / name).unlink()
        if not plan:
            make_folder(self.mounted, 0o711)
            _write_files(self.mounted / name, bundle, self._keep)
        make_folder(self.read, 0o711)
        _write_files(self.read / name, bundle)
        return self.read / name

    def keep_written(self, source: str) -> list[str]:
        """Returns the paths of the copies of a mounted file that containers changed, which stay until a
        person removes them; none for an unchanged file and for paths elsewhere. Raises StoreUnavailable.
        """
        if not self._is_inside(source) or _is_linked(self.mounted, inside := _relative(source, self.mounted)):
            return []
        original = _content(self.read / inside)  # the older deployer had no such copy
        if original is not None or not _is_as_unpacked(self.mounted / Path(inside).parts[0]):
            self._keep(self.mounted / inside, original)
        return sorted(str(path) for path in (self.written / inside).glob("*"))

    def _keep(self, path: Path, original: bytes | None) -> None:
        """Gives a changed file a second name, once for all calls."""
        if not _is_changed(path, original):
            return
        place = self.written / path.relative_to(self.mounted)
        make_folder(place)
        try:
            _link_or_copy(path, place)
        except OSError as error:
            raise StoreUnavailable(
                f"{path}, which a container wrote, cannot be kept: {error.strerror}",
                hint="move its content to a volume if you need it, and remove the file",
            ) from None

    @contextmanager
    def plan(self, bundle: Bundle) -> Iterator[None]:
        """Within, the bundle's files may be unpacked for a plan; afterwards they are removed unless a release
        has them. Raises TooManyRequests, StoreUnavailable.
        """
        name = name_of(bundle)
        mine = self._begin(name, bytes_of(bundle))
        try:
            yield
        finally:
            self._end(name, mine)

    def planning(self, bundle: Bundle) -> bool:
        """True while plans alone use the folder of the bundle."""
        return name_of(bundle) in self._plans

    def keep(self, bundles: Sequence[Bundle], mounted: Collection[str]) -> int:
        """Removes the folders of other bundles, except recently used ones, which a deploy may be about to
        use, and those that a container mounts; `mounted` are paths of the host. Returns the number of removed
        folders.
        """
        kept = {name_of(bundle) for bundle in bundles}
        kept |= {Path(path).relative_to(self.mounted).parts[0] for path in mounted if self._is_inside(path)}
        before = time.time() - _RECENTLY
        both = (*self.mounted.glob("*"), *self.read.glob("*"))
        found = [folder for folder in both if folder.name not in kept and folder.name not in self._plans]
        gone = [folder for folder in found if folder.stat().st_mtime < before]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        return len(gone)

    def _is_inside(self, path: str) -> bool:
        return Path(path) != self.mounted and Path(path).is_relative_to(self.mounted)

    def _begin(self, name: str, size: int) -> _Plan | None:
        """Registers a plan, or returns None if a release has the folder already."""
        with self._lock:
            self._sweep()
            judge_plan(size, [one.size for one in self._plans.values()], shutil.disk_usage(self._state).free)
            if mine := self._plans.get(name):
                mine.users += 1
                return mine
            if (self.mounted / name).exists() or (self.read / name).exists():
                return None
            make_folder(self._marks)
            write_whole(self._marks / name, "")
            mine = self._plans[name] = _Plan(size)
            return mine

    def _end(self, name: str, mine: _Plan | None) -> None:
        with self._lock:
            if mine is None or self._plans.get(name) is not mine:
                return
            mine.users -= 1
            if not mine.users:
                del self._plans[name]
                self._remove(name)

    def _sweep(self) -> None:
        """Removes the folders of plans whose process was killed."""
        for mark in self._marks.glob("[0-9a-f]*"):
            if mark.name not in self._plans:
                self._remove(mark.name)

    def _remove(self, name: str) -> None:
        """Leaves a folder that another process has unpacked for a release since."""
        mark = self._marks / name
        if mark.exists():
            shutil.rmtree(self.read / name, ignore_errors=True)
            mark.unlink(missing_ok=True)


def name_of(bundle: Bundle) -> str:
    """Returns 16 hex digits of the content's hash."""
    return hashlib.sha256(json.dumps(dict(bundle.files), sort_keys=True).encode()).hexdigest()[:16]


def _write_files(
    folder: Path, bundle: Bundle, keep: Callable[[Path, bytes], None] = lambda _path, _content: None
) -> None:
    """Writes the files; `keep` is called before each one, with the content that it should have."""
    make_folder(folder, 0o755)
    os.utime(folder)
    for name, content in bundle.files.items():
        _check_path(folder, name)
        path = folder / name
        make_folder(path.parent, 0o755)
        keep(path, content.encode())
        write_whole(path, content, mode=0o755 if content.startswith("#!") else 0o644)


def _check_path(folder: Path, name: str) -> None:
    """Raises ComposeRejected for a path outside of the folder, or with a link on it, as a container may have
    made.
    """
    if not is_bundle_path(name):
        raise ComposeRejected(f"{name!r} is not a path inside the repository")
    if _is_linked(folder, name):
        raise ComposeRejected(
            f"{folder / name} has become a link",
            hint=f"a container changed what it mounts; remove {folder} and look for the one that did",
        )


def _is_linked(folder: Path, name: str) -> bool:
    """True if a path inside the folder is or passes through a link."""
    return any((folder / part).is_symlink() for part in (PurePosixPath(name), *PurePosixPath(name).parents))


def _relative(path: str, folder: Path) -> str:
    return str(Path(path).relative_to(folder))


def _is_changed(path: Path, original: bytes | None) -> bool:
    """True for a file with different content, or with content that cannot be read or compared."""
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
    return is_file and (original is None or _content(path) != original)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _is_as_unpacked(folder: Path) -> bool:
    """True if the content of a folder still has the hash that is its name."""
    try:
        paths = [path for path in folder.rglob("*") if path.is_file()]
        files = {str(path.relative_to(folder)): path.read_bytes().decode() for path in paths}
    except (OSError, UnicodeDecodeError):
        return False
    return name_of(Bundle("", files)) == folder.name


def _link_or_copy(path: Path, place: Path) -> None:
    """Links the file under its inode number. A file of another user, which the kernel may not let us link
    (`protected_hardlinks`), is copied under the hash of its content. Raises OSError.
    """
    try:
        os.link(path, place / str(path.lstat().st_ino), follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        name = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        shutil.copyfile(path, place / name, follow_symlinks=False)
