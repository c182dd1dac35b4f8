"""Judgement of requests for networks, volumes and network endpoints, as they are posted. In: a request, the
permissions of its project. Out: the judged request, or PowerRefused, SubnetTaken.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.host_config import asked_by_links
from deployer.core.docker.request_shapes import ENDPOINT, NETWORK, VOLUME, unnamed_fields
from deployer.core.docker.reserved_addresses import refuse_pools
from deployer.core.permissions import host_access
from deployer.core.permissions.project_permissions import NOTHING_PRESENT, Permissions, Present

Body = Mapping[str, Any]


@dataclass(frozen=True)
class PermittedNetwork:
    """A judged request for a network. Only `permit_network` makes one."""

    name: str
    body: Body = field(hash=False)


@dataclass(frozen=True)
class PermittedEndpoint:
    """A judged endpoint of a container on a network. Only `permit_endpoint` makes one."""

    network: str
    settings: Body = field(hash=False)


def nothing_present() -> Present:
    return NOTHING_PRESENT


def permit_network(
    body: Body, permissions: Permissions, present: Callable[[], Present] = nothing_present
) -> PermittedNetwork:
    """Permits a network. Raises PowerRefused if it reaches beyond its project, SubnetTaken if it would take
    addresses of the host. `present` is called if the request names a subnet.
    """
    name = str(body.get("Name") or "")
    _refuse(f"network {name}", unnamed_fields(body, NETWORK), permissions)
    _refuse(f"network {name}", _asked_by_network(name, body, permissions), permissions)
    if pools := (body.get("IPAM") or {}).get("Config"):
        refuse_pools(name, pools, present().routes)
    return PermittedNetwork(name, body)


def permit_volume(body: Body, permissions: Permissions, _: Callable[[], Present] = nothing_present) -> None:
    """Judges a volume. Raises PowerRefused if it is not plain storage of its own project."""
    name = str(body.get("Name") or "")
    _refuse(f"volume {name}", unnamed_fields(body, VOLUME), permissions)
    _refuse(f"volume {name}", _asked_by_volume(name, body, permissions), permissions)


def permit_endpoint(
    network: str, settings: Body, permissions: Permissions, present: Present = NOTHING_PRESENT
) -> PermittedEndpoint:
    """Permits an endpoint. Raises PowerRefused for a foreign network, and for settings beyond an address on
    it.
    """
    _refuse(f"a container on {network}", unnamed_fields(settings, ENDPOINT), permissions)
    asked = asked_by_endpoints({network: settings}, permissions, present)
    _refuse(f"a container on {network}", asked, permissions)
    return PermittedEndpoint(network, settings)


def asked_by_endpoints(endpoints: Body, permissions: Permissions, present: Present) -> Iterator[str]:
    """Yields the grants that endpoints (network → settings) would need, including granted ones."""
    for name, settings in endpoints.items():
        if not permissions.allows_network(name):
            yield f"network:{name}"
        yield from host_access.network_options((settings or {}).get("DriverOpts") or {})
        yield from asked_by_links((settings or {}).get("Links") or (), present)


def _refuse(where: str, grants: Iterator[str], permissions: Permissions) -> None:
    permissions.refuse([(where, grant) for grant in grants])


def _asked_by_network(name: str, body: Body, permissions: Permissions) -> Iterator[str]:
    driver, ipam = str(body.get("Driver") or "bridge"), body.get("IPAM") or {}
    if not permissions.allows_network(name):
        yield f"network:{name}"
    if driver not in ("bridge", "none"):
        yield f"driver:{driver}"
    else:
        yield from host_access.network_options(body.get("Options") or {})
    if str(body.get("Scope") or "local") != "local":
        yield f"request:Network.Scope={body['Scope']}"
    if str(ipam.get("Driver") or "default") != "default" or ipam.get("Options"):
        yield f"ipam:{ipam.get('Driver') or 'options'}"
    yield from host_access.subnets(ipam.get("Config") or (), permissions.around.subnets)
    for pool in ipam.get("Config") or ():
        yield from _asked_by_pool(pool)
    yield from _asked_by_labels(body, permissions)


def _asked_by_pool(pool: Body) -> Iterator[str]:
    """Yields grants for addresses outside of the pool's own subnet: the host would take the gateway, and
    reserve the others, in a foreign network.
    """
    auxiliary = pool.get("AuxiliaryAddresses") or {}
    named = (pool.get("IPRange"), pool.get("Gateway"), *auxiliary.values())
    yield from (f"subnet:{text}" for text in named if text and not _is_inside(text, pool.get("Subnet")))


def _is_inside(text: object, subnet: object) -> bool:
    with suppress(ValueError):
        inner = ipaddress.ip_network(str(text), strict=False)
        return host_access.is_within(inner, ipaddress.ip_network(str(subnet), strict=False))
    return False


def _asked_by_volume(name: str, body: Body, permissions: Permissions) -> Iterator[str]:
    driver = str(body.get("Driver") or "local")
    if not permissions.allows_volume(name):
        yield f"volume:{name}"
    if driver != "local":
        yield f"driver:{driver}"
    else:
        yield from host_access.volume_options(body.get("DriverOpts") or {})
    yield from _asked_by_labels(body, permissions)


def _asked_by_labels(body: Body, permissions: Permissions) -> Iterator[str]:
    """Yields grants for a foreign project's label, and for labels of the deployer."""
    labels: Mapping[str, str] = body.get("Labels") or {}
    if labels.get(ComposeLabel.PROJECT, permissions.project) != permissions.project:
        yield f"label:{ComposeLabel.PROJECT}={labels[ComposeLabel.PROJECT]}"
    yield from (f"label:{label}" for label in host_access.reserved_labels(labels))
