"""Confinement of the Compose process. In: facts about the kernel and the deployer's user. Out: the means in
force, and a sentence about it for logs.

Compose evaluates a repository's files and reads the files that they name. Checks of the text come first; a
path that they overlook must still not reach the server's keys, other applications' files or the network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

_FIRST_USER = 2_000_000_000  # above every login and every container's range of user ids
_TCP_SINCE = 4  # Landlock's ABI


class Means(StrEnum):
    """Confinement of the Compose process to its own release's files."""

    LANDLOCK = "landlock"  # the kernel, for an unprivileged program
    OWN_USER = "own-user"  # file permissions: a user id that nothing else has
    NONE = "none"


@dataclass(frozen=True)
class Confinement:
    """The means in force. `abi`: Landlock's version, 0 without Landlock; `why`: the reason why there is no
    Landlock; `sockets`: a seccomp filter leaves Compose Unix sockets only.
    """

    means: Means
    abi: int = 0
    why: str = ""
    sockets: bool = False

    def __str__(self) -> str:
        network = "no network" if self.sockets else "no TCP" if self.abi >= _TCP_SINCE else "the network"
        if self.means is Means.LANDLOCK:
            return f"confined by Landlock (ABI {self.abi}): it has its release's files and {network}"
        if self.means is Means.OWN_USER:
            return (
                f"confined by a user of its own, as {self.why}: it has what every user may read and {network}"
            )
        return (
            f"not confined, as {self.why} and the deployer is not root: a Compose file that gets past the"
            f" checks of its text reads what the deployer may read, and has {network}"
        )


def choose_confinement(abi: int, why: str, *, root: bool, sockets: bool) -> Confinement:
    """Returns the strongest means. `abi` and `why` come from the kernel; `root`: the process may change its
    user.
    """
    if abi:
        return Confinement(Means.LANDLOCK, abi, sockets=sockets)
    return Confinement(Means.OWN_USER if root else Means.NONE, 0, why, sockets)


def user_of(project: str) -> int:
    """Returns the user id of a project's Compose process, also its group id."""
    return group_of_all() + 1 + int(hashlib.sha256(project.encode()).hexdigest()[:6], 16)


def group_of_all() -> int:
    """Returns the id of the group that may pass through the state folder and has no other right."""
    return _FIRST_USER
