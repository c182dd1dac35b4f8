"""Ports and addresses of the engine's host that no container and no network may take. In: a request as it is
posted. Out: nothing, or the conflict as an error with its own code.

`core/rollout/conflicts.py` finds the same conflicts in the rendered model before a deploy touches anything;
this check applies to every request to the engine, also during a rollback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deployer.core.errors import ComposeRejected, PortTaken
from deployer.core.host_ports import HostPort, bound_ports, is_plain_address
from deployer.core.rollout.conflicts import refuse_subnets

Body = Mapping[str, Any]

_CONTAINER_PORT = re.compile(r"[0-9]{1,5}(?:/(?:tcp|udp|sctp))?")
_HOST_PORTS = re.compile(r"(?:[0-9]{1,5}(?:-[0-9]{1,5})?)?")


def refuse_ports(
    where: str, bindings: Mapping[str, Iterable[Body] | None], reserved: Iterable[HostPort]
) -> None:
    """Raises PortTaken for a binding to a reserved port, ComposeRejected for a binding that the engine may
    parse differently: it takes an address that it cannot parse for all addresses.
    """
    for port, binding in _bindings_by_port(bindings):
        address, number = str(binding.get("HostIp") or ""), str(binding.get("HostPort") or "")
        readable = (
            _CONTAINER_PORT.fullmatch(port) and _HOST_PORTS.fullmatch(number) and is_plain_address(address)
        )
        if not readable:
            raise ComposeRejected(
                f"{where} asks for the port {address}:{number}:{port}, which is not a valid port"
            )
    for wanted in bound_ports(bindings):
        for taken in reserved:
            if taken.meets(wanted):
                raise PortTaken(
                    f"{where} asks for {wanted}, where the deployer itself listens at {taken}",
                    hint="publish another port; server.listen in the settings names the deployer's own",
                )


def _bindings_by_port(bindings: Mapping[str, Iterable[Body] | None]) -> Iterator[tuple[str, Body]]:
    for port, bound in bindings.items():
        for binding in bound or ({},):
            yield port, binding


def refuse_pools(network: str, pools: Iterable[Body], routes: Iterable[str]) -> None:
    """Raises SubnetTaken for a pool with addresses that the host reaches by another route, ComposeRejected
    for a pool that cannot be parsed.
    """
    texts = [str(pool[key]) for pool in pools for key in ("Subnet", "IPRange", "Gateway") if pool.get(key)]
    try:
        refuse_subnets(network, texts, routes)
    except ValueError as error:
        raise ComposeRejected(f"network {network}: {error}") from None
