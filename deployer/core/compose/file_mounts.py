"""Files of the repository that containers mount. In: services of a rendered Compose model, the release's
files. Out: the files with a writable mount, and ComposeRejected for data. Never reads a file.

Each release has its own copy of the repository's files, mounted read-only: text that a container wrote there
would be gone with the next release. Configuration mounted as `./nginx.conf:/etc/nginx/nginx.conf` is never
written, so it deploys and the plan says how it is mounted. A file that exists to be filled by the application
is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deployer.core.errors import ComposeRejected

Table = Mapping[str, Any]

_DATA_NAMES = re.compile(
    r"(acme|users|data|db|database|state|store)\.json"
    r"|.*\.(db3?|sqlite3?(-wal|-shm|-journal)?|sqlitedb|mdb|ldb|rdb|aof|log|pid|sock|lock|leases|jsonl|swp)",
    re.IGNORECASE,
)
# Content with which a file is tracked that the application fills later.
_EMPTY = frozenset(
    hashlib.sha256(text.encode()).hexdigest()
    for bare in ("", "{}", "[]", "null", '""')
    for text in (bare, f"{bare}\n", f"{bare}\r\n")
)
_HINT = (
    "give it a named volume, or a path of the server that the settings grant (bind:/srv/…);"
    " `:ro` where the container only reads it"
)


def written_files(service: Table, folder: str, digests: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the files that the service mounts without `read_only`, as paths from the release's folder."""
    return tuple(sorted(source.removeprefix(f"{folder}/") for source in _written(service, digests)))


def refuse_data_files(services: Mapping[str, Table], folder: str, digests: Mapping[str, str]) -> None:
    """Raises ComposeRejected for a writable mount of a file that is obviously data. `digests`: absolute path
    → SHA-256.
    """
    for name, service in services.items():
        for source in _written(service, digests):
            if _DATA_NAMES.fullmatch(PurePosixPath(source).name) or digests[source] in _EMPTY:
                raise ComposeRejected(
                    f"service {name} mounts {source.removeprefix(f'{folder}/')} to write it: it is the"
                    " repository's file, of which each release has its own copy",
                    hint=_HINT,
                )


def _written(service: Table, digests: Mapping[str, str]) -> Iterator[str]:
    for volume in service.get("volumes") or ():
        source = str(volume.get("source") or "")
        if volume.get("type") == "bind" and source in digests and not volume.get("read_only"):
            yield source
