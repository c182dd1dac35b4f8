"""The last gate for networks, volumes and the places of containers on networks. In: a request as it is
posted, the permissions of its project. Out: the judged request, or PowerRefused, SubnetTaken.
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
    """A request for a network that was judged. Only `permit_network` makes one."""

    name: str
    body: Body = field(hash=False)


@dataclass(frozen=True)
class PermittedEndpoint:
    """The place of a container on a network that was judged. Only `permit_endpoint` makes one."""

    network: str
    settings: Body = field(hash=False)


def nothing_present() -> Present:
    return NOTHING_PRESENT


def permit_network(
    body: Body, permissions: Permissions, present: Callable[[], Present] = nothing_present
) -> PermittedNetwork:
    """Raises PowerRefused for a network that reaches beyond its project, SubnetTaken for one that would take
    addresses of the host. `present` is asked where the request names a subnet.
    """
    name = str(body.get("Name") or "")
    _refuse(f"network {name}", unnamed_fields(body, NETWORK), permissions)
    _refuse(f"network {name}", _of_network(name, body, permissions), permissions)
    if pools := (body.get("IPAM") or {}).get("Config"):
        refuse_pools(name, pools, present().routes)
    return PermittedNetwork(name, body)


def permit_volume(body: Body, permissions: Permissions, _: Callable[[], Present] = nothing_present) -> None:
    """Raises PowerRefused for a volume that is no storage of its own project."""
    name = str(body.get("Name") or "")
    _refuse(f"volume {name}", unnamed_fields(body, VOLUME), permissions)
    _refuse(f"volume {name}", _of_volume(name, body, permissions), permissions)


def permit_endpoint(
    network: str, settings: Body, permissions: Permissions, present: Present = NOTHING_PRESENT
) -> PermittedEndpoint:
    """Raises PowerRefused for a network of others, and for settings that ask for more than a place on it."""
    _refuse(f"a container on {network}", unnamed_fields(settings, ENDPOINT), permissions)
    asked = asked_by_endpoints({network: settings}, permissions, present)
    _refuse(f"a container on {network}", asked, permissions)
    return PermittedEndpoint(network, settings)


def asked_by_endpoints(endpoints: Body, permissions: Permissions, present: Present) -> Iterator[str]:
    """Grants that places on networks (name → settings) would need, granted ones too."""
    for name, settings in endpoints.items():
        if not permissions.allows_network(name):
            yield f"network:{name}"
        yield from host_access.network_options((settings or {}).get("DriverOpts") or {})
        yield from asked_by_links((settings or {}).get("Links") or (), present)


def _refuse(where: str, grants: Iterator[str], permissions: Permissions) -> None:
    permissions.refuse([(where, grant) for grant in grants])


def _of_network(name: str, body: Body, permissions: Permissions) -> Iterator[str]:
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
        yield from _of_pool(pool)
    yield from _of_project_label(body, permissions)


def _of_pool(pool: Body) -> Iterator[str]:
    """Addresses outside of the pool's own subnet: the host would take the gateway, and set the others aside,
    in somebody else's network.
    """
    auxiliary = pool.get("AuxiliaryAddresses") or {}
    named = (pool.get("IPRange"), pool.get("Gateway"), *auxiliary.values())
    yield from (f"subnet:{text}" for text in named if text and not _is_inside(text, pool.get("Subnet")))


def _is_inside(text: object, subnet: object) -> bool:
    with suppress(ValueError):
        inner = ipaddress.ip_network(str(text), strict=False)
        return host_access.is_within(inner, ipaddress.ip_network(str(subnet), strict=False))
    return False


def _of_volume(name: str, body: Body, permissions: Permissions) -> Iterator[str]:
    driver = str(body.get("Driver") or "local")
    if not permissions.allows_volume(name):
        yield f"volume:{name}"
    if driver != "local":
        yield f"driver:{driver}"
    else:
        yield from host_access.volume_options(body.get("DriverOpts") or {})
    yield from _of_project_label(body, permissions)


def _of_project_label(body: Body, permissions: Permissions) -> Iterator[str]:
    """A network or volume is labelled as its own project's, and carries no label of the deployer's."""
    labels: Mapping[str, str] = body.get("Labels") or {}
    if labels.get(ComposeLabel.PROJECT, permissions.project) != permissions.project:
        yield f"label:{ComposeLabel.PROJECT}={labels[ComposeLabel.PROJECT]}"
    yield from (f"label:{label}" for label in host_access.reserved_labels(labels))
