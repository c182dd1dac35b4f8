"""Model of the edge's container, for its content hash. In: services behind the edge, its settings. Out: plain
values that change when the container has to. Never creates it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.compose.services import networks_of
from deployer.core.compose.tls_ports import TlsPort


@dataclass(frozen=True)
class EdgeSettings:
    """Settings of the edge container: its image, its folder on the engine's host, the user it runs as, and
    `tls` if there are certificates.
    """

    image: str
    folder: str
    user: str
    tls: bool = False


def edge_model(
    tables: Mapping[str, Mapping[str, Any]],
    edge: EdgeSettings,
    tls: tuple[TlsPort, ...],
    *,
    earlier: bool = False,
) -> dict[str, Any]:
    """Returns the model from which the edge's spec is computed; `earlier`: as deployers made it that gave the
    edge no name of the engine's.
    """
    names: dict[str, list[str]] = {}
    for service, table in sorted(tables.items()):
        for network, aliases in aliases_of(service, table, () if earlier else engine_names(table)).items():
            names.setdefault(network, []).extend(aliases)
    return {
        "image": edge.image,
        "user": edge.user,
        "folder": edge.folder,
        "ports": [port for _, table in sorted(tables.items()) for port in table.get("ports") or ()],
        "networks": {network: {"aliases": aliases} for network, aliases in names.items()},
        **({"tls": [(port.service, port.published, port.inside) for port in tls]} if tls else {}),
    }


def engine_names(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names that the engine's DNS takes from a container itself, on each of its networks."""
    return tuple(str(table[key]) for key in ("hostname", "container_name") if table.get(key))


def aliases_of(
    service: str, table: Mapping[str, Any], further: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Returns network → names by which peers reach the service, `further` ones on each network."""
    return {
        network: (
            service,
            *(alias for alias in (*(settings.get("aliases") or ()), *further) if alias != service),
        )
        for network, settings in networks_of(table).items()
    }
