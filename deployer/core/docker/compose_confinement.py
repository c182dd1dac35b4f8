"""Confinement of the Compose process: which means there are. In: facts of the kernel and of our user. Out:
the means in force, and words for people.

Compose runs a repository's files, and reads what they name. Text checks say no first; what they overlook must
still not reach the server's keys, other applications' files or the network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

_FIRST_USER = 2_000_000_000  # no login and no container's range reaches up here
_TCP_SINCE = 4  # Landlock's ABI


class Means(StrEnum):
    """Confinement of the Compose process to its own release's files."""

    LANDLOCK = "landlock"  # the kernel, for an unprivileged program
    OWN_USER = "own-user"  # file permissions: a user number that nothing else has
    NONE = "none"


@dataclass(frozen=True)
class Confinement:
    """The means in force. `abi`: Landlock's, 0 without; `why`: what is missing; `sockets`: a seccomp filter
    leaves Compose Unix sockets only.
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
    """`abi` and `why` as the kernel has it, `root`: we may change to another user."""
    if abi:
        return Confinement(Means.LANDLOCK, abi, sockets=sockets)
    return Confinement(Means.OWN_USER if root else Means.NONE, 0, why, sockets)


def user_of(project: str) -> int:
    """The project's own number, as user and as group."""
    return group_of_all() + 1 + int(hashlib.sha256(project.encode()).hexdigest()[:6], 16)


def group_of_all() -> int:
    """The group that may pass through the state folder, and nothing else."""
    return _FIRST_USER
