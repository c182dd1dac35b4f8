"""Ports and addresses of the engine's host that no container and no network may take. In: a request as it is
posted. Out: nothing, or the conflict as an error with a code of its own.

`core/rollout/conflicts.py` finds the same conflicts in the rendered model before a deploy touches anything;
here they are judged on every way that leads to the engine, the one back included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deployer.core.errors import ComposeRejected, PortTaken
from deployer.core.host_ports import HostPort, bound_ports, is_plain_address
from deployer.core.rollout.conflicts import refuse_subnets

Body = Mapping[str, Any]

_INSIDE = re.compile(r"[0-9]{1,5}(?:/(?:tcp|udp|sctp))?")
_OUTSIDE = re.compile(r"(?:[0-9]{1,5}(?:-[0-9]{1,5})?)?")


def refuse_ports(
    where: str, bindings: Mapping[str, Iterable[Body] | None], reserved: Iterable[HostPort]
) -> None:
    """Raises PortTaken for a binding to a reserved port, ComposeRejected for one that the engine could read
    in another way: it takes an address that it cannot parse for all addresses.
    """
    for port, binding in _pairs(bindings):
        address, number = str(binding.get("HostIp") or ""), str(binding.get("HostPort") or "")
        readable = _INSIDE.fullmatch(port) and _OUTSIDE.fullmatch(number) and is_plain_address(address)
        if not readable:
            raise ComposeRejected(f"{where} asks for the port {address}:{number}:{port}, which is none")
    for wanted in bound_ports(bindings):
        for taken in reserved:
            if taken.meets(wanted):
                raise PortTaken(
                    f"{where} asks for {wanted}, where the deployer itself listens at {taken}",
                    hint="publish another port; server.listen in the settings names the deployer's own",
                )


def _pairs(bindings: Mapping[str, Iterable[Body] | None]) -> Iterator[tuple[str, Body]]:
    for port, bound in bindings.items():
        for binding in bound or ({},):
            yield port, binding


def refuse_pools(network: str, pools: Iterable[Body], routes: Iterable[str]) -> None:
    """Raises SubnetTaken for a pool that holds addresses which the host reaches otherwise, ComposeRejected
    for one that cannot be read.
    """
    texts = [str(pool[key]) for pool in pools for key in ("Subnet", "IPRange", "Gateway") if pool.get(key)]
    try:
        refuse_subnets(network, texts, routes)
    except ValueError as error:
        raise ComposeRejected(f"network {network}: {error}") from None
