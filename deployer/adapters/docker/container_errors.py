"""Errors for containers that the engine refuses to create or start. In: the engine's message. Out: an error
with the next step for the user.

The engine's status code alone does not tell the cause: a taken port and a full disk are both 500.
"""

from __future__ import annotations

import re

from deployer.core.errors import ContainerRefused, DeployerError, EngineUnavailable

_LAYERS = re.compile(
    r"failed to create (?:task for container|shim task): |(?:OCI runtime|runc) create failed: "
    r"|unable to start container process: |: unknown$"
)
_MACHINE = re.compile(
    r"no space left|cannot allocate memory|too many open files|read-only file system|input/output error",
    re.IGNORECASE,
)
_TAKEN_PORT = re.compile(
    r":(?P<port>[0-9]+)\S* (?:failed: port is already allocated|bind: address already in)"
)
_HINTS = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (
            r"pool overlaps|overlaps with other|conflicts with existing route|conflicts with network",
            "another network has these addresses: leave `ipam` out, or choose a subnet that nothing uses",
        ),
        (
            r"user[- ](?:configured|specified) (?:subnets?|IP address)|not (?:in|within) .*subnet",
            "a fixed address needs a subnet that holds it: look at `ipam` of the network",
        ),
        (r"address already in use", "another container has this address: look at `ipv4_address`"),
        (r"unable to find (?:user|group)", "the image knows no such user: look at `user`"),
        (
            r"mount|bind source path|not a directory",
            "look at `volumes`: do the paths exist, and fit together?",
        ),
        (r"\bexec: ", "the image cannot run this program: look at `command` and `entrypoint`"),
        (r"network \S+ not found", "`docker network create` makes a network that the file calls external"),
        (r"container name .* in use", "`docker rm` of the container that has this name makes room"),
        (r"device", "this machine has no such device: look at `devices` and `deploy.resources`"),
        (r"no such image", "somebody removed the image after it was pulled; deploy again"),
    )
)


def is_refusal(text: str) -> bool:
    """True if the text alone says that the container asks for something impossible."""
    known = (_TAKEN_PORT, *(pattern for pattern, _ in _HINTS))
    return not _MACHINE.search(text) and any(pattern.search(text) for pattern in known)


def refusal(action: str, text: str) -> DeployerError:
    """Returns ContainerRefused with a fitting hint, or EngineUnavailable if the machine has run out of
    something.
    """
    shown = f"{action}: {_LAYERS.sub('', text.strip())}"
    if _MACHINE.search(text):
        return EngineUnavailable(
            shown, hint="the engine's machine has run out of something: `df -h`, `free -h`"
        )
    if taken := _TAKEN_PORT.search(text):
        port = taken["port"]
        return ContainerRefused(
            shown, hint=f"`docker ps --filter publish={port}` or `ss -ltnp sport = :{port}` shows who has it"
        )
    hints = (hint for pattern, hint in _HINTS if pattern.search(text))
    return ContainerRefused(shown, hint=next(hints, "look at the service in the Compose file"))
