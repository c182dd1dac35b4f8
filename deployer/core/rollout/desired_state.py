"""Desired state of one environment. In: the rendered Compose model and digests. Out: `Application`: services
and how to make them. Never changes the user's model.

The containers made from it differ from the model in three ways (`docker/container_requests.py`): images by
digest, a content label on every container, and the published ports of start-first services held by one more
container, the edge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.core.compose.content_hash import Files, bind_specs, spec_of
from deployer.core.compose.deploy_hooks import Hook, hooks_of, is_one_way
from deployer.core.compose.endpoints import Endpoint, endpoints_of
from deployer.core.compose.external_proxy import hands_over_ports, notice_seconds, without_edge
from deployer.core.compose.file_mounts import written_files
from deployer.core.compose.health_check import HttpProbe
from deployer.core.compose.image_defaults import with_image_defaults
from deployer.core.compose.rendering import ADDED, FILES, FOLDER, MOUNTED, RENDERING, Folders
from deployer.core.compose.routes import Placing, Route, end_tls
from deployer.core.compose.services import (
    START_FIRST,
    STOP_FIRST,
    UpdateOrder,
    completes,
    gate_seconds_of,
    is_checked,
    levels_of,
    networks_of,
    probe_of,
    ranks_of,
    replicas_of,
    seconds,
    settings_of,
    shares_with,
)
from deployer.core.compose.tls_ports import TlsPort
from deployer.core.compose.update_config import Pace, pace_of
from deployer.core.compose.volumes import nameless_of
from deployer.core.errors import ComposeRejected, ReleaseIncomplete
from deployer.core.host_ports import HostPort, check_ports, host_ports_of
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.rollout.edge_container import EdgeSettings, aliases_of, edge_model, engine_names

EDGE = "deployer-edge"
ASIDE = "_deployer-aside"  # ends the name of the network on which a parked replica waits for its host ports
SPEC_LABEL = "deployer.spec"
EDGE_MOUNT = "/run/edge"
DRAIN_SECONDS = 30.0
_MOST_NETWORKS = 16
_TOP = ("networks", "volumes", "configs", "secrets")


@dataclass(frozen=True)
class Service:
    """Compose service as the planner and the gate see it. Durations in seconds."""

    name: str
    image: Image | None  # None for the edge, whose image the settings name
    replicas: int
    order: UpdateOrder
    level: int
    completes: bool
    routes: tuple[Route, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(
        hash=False
    )  # network → names that the edge answers to instead of the service
    probe: HttpProbe | None
    checked: bool
    gate_seconds: float
    grace_seconds: float
    drain_seconds: float
    spec: str
    publishes: tuple[HostPort, ...]  # host ports that its containers hold themselves
    rank: int = 0  # position in the order of starts within its level
    notice_seconds: float = 0.0  # until the user's own proxy has found a new replica
    pace: Pace = field(default_factory=Pace)
    hands_over_ports: bool = (
        False  # a new replica waits, parked, for the networks and host ports of the old one
    )
    asks: tuple[int, ...] = ()  # ports of which one must be open, where there is no other check
    presumed: bool = False  # `asks` comes from the image alone, and no peer is seen to use it
    earlier: frozenset[str] = (
        frozenset()
    )  # of the edge: its specs by earlier deployers, an empty one for no edge
    written: tuple[str, ...] = ()  # files of the repository that the Compose file mounts writable
    nameless: tuple[str, ...] = ()  # paths of volumes that one replica hands on to the next
    networks: frozenset[str] = frozenset()  # names of its networks on the engine

    @property
    def start_first(self) -> bool:
        return self.order.name == START_FIRST


@dataclass(frozen=True)
class DesiredState:
    """Desired state of one environment: services by level, the user's Compose model as rendered, and the name
    of the rendering that makes its containers.
    """

    project: str
    services: tuple[Service, ...]
    document: Mapping[str, Any]
    edge: EdgeSettings | None = None
    tls: tuple[TlsPort, ...] = ()
    rendering: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    hooks: tuple[Hook, ...] = ()
    one_way: bool = False  # no automatic rollback once a pre-deploy hook ran
    folders: Folders = field(default_factory=Folders)
    permissions: Permissions = field(default_factory=lambda: Permissions(""))

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(route for service in self.services for route in service.routes)

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)


def nothing(project: str) -> DesiredState:
    """Returns the application of a project without services: the target of the rollback after a failed first
    deploy.
    """
    return DesiredState(project, (), {"name": project, "services": {}})


def assemble(
    rendered: Mapping[str, Any],
    images: Mapping[str, Image],
    project: str,
    edge: EdgeSettings,
    configs: Mapping[str, ImageConfig] | None = None,
    texts: Collection[str] = (),
) -> DesiredState:
    """Builds the application of a release. `configs`: service → its image's configuration; `texts`: the
    release's files without the Compose file. Raises ComposeRejected or ReleaseIncomplete.
    """
    tables: Mapping[str, Mapping[str, Any]] = rendered.get("services") or {}
    _check_services(tables)
    _check_networks(rendered.get("networks") or {})
    check_ports(tables)
    # Containers inherit from images; specs come from the user's file alone and so stay the same.
    known = {name: with_image_defaults(table, (configs or {}).get(name)) for name, table in tables.items()}
    placing = Placing(known, texts)
    tls, routes = end_tls(known, placing.routes) if edge.tls else ((), placing.routes)
    levels = {name: level + bool(routes) for name, level in levels_of(known).items()}
    models = {name: _model(table, name, images, behind=name in routes) for name, table in tables.items()}
    if routes:
        models[EDGE] = edge_model({name: tables[name] for name in routes}, edge, tls)
    specs = _specs(rendered, models, levels)
    services = [
        _service(name, known, images.get(name), placing, levels[name], routes.get(name, ()), specs[name])
        for name in tables
    ]
    if routes:
        nameless = edge_model({name: tables[name] for name in routes}, edge, tls, earlier=True)
        earlier = {_earlier_edge(rendered, edge), _edge_spec(rendered, nameless)} - {specs[EDGE]}
        ports = host_ports_of(models[EDGE])
        services.append(_edge_service(specs[EDGE], ports, frozenset(earlier)))
    document = {key: value for key, value in rendered.items() if key not in ADDED}
    return DesiredState(
        project=project,
        services=_ordered(services, rendered),
        document=document,
        edge=edge if routes else None,
        tls=tls,
        rendering=str(rendered.get(RENDERING, "")),
        endpoints=endpoints_of(known, tls),
        hooks=hooks_of(tables),
        one_way=is_one_way(tables),
        folders=Folders(str(rendered.get(FOLDER, "")), str(rendered.get(MOUNTED, ""))),
    )


def _specs(
    rendered: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], levels: Mapping[str, int]
) -> dict[str, str]:
    """Returns service → its content hash; a service in another one's namespaces gets a new hash with that
    one's.
    """
    tables: Mapping[str, Mapping[str, Any]] = rendered["services"]
    tops = {key: rendered[key] for key in _TOP if rendered.get(key)}
    files = Files(rendered.get(FOLDER, ""), rendered.get(FILES) or {})
    specs = {
        name: spec_of(model, tops, files if name in tables else Files("", {}))
        for name, model in models.items()
    }
    for name in sorted(levels, key=lambda name: levels[name]):
        shared = [specs[other] for other in shares_with(tables[name]) if other in specs]
        specs[name] = bind_specs(specs[name], shared)
    return specs


def _earlier_edge(rendered: Mapping[str, Any], edge: EdgeSettings) -> str:
    """Returns the spec of the edge with the declared ports alone, as earlier deployers made it; empty for no
    edge.
    """
    tables = rendered["services"]
    routes = Placing(tables, derive=False).routes
    tls, routes = end_tls(tables, routes) if edge.tls else ((), routes)
    model = edge_model({name: tables[name] for name in routes}, edge, tls, earlier=True)
    return _edge_spec(rendered, model) if routes else ""


def _edge_spec(rendered: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    return _specs(rendered, {EDGE: model}, {})[EDGE]


def _ordered(services: Sequence[Service], rendered: Mapping[str, Any]) -> tuple[Service, ...]:
    """Returns the services by level and name, each with the names of its networks and the files that it
    mounts writable.
    """
    folder, digests = rendered.get(FOLDER, ""), rendered.get(FILES) or {}
    tables = {one.name: rendered["services"].get(one.name) or {} for one in services}
    named = [
        replace(
            one,
            networks=_names_of_networks(tables[one.name], rendered),
            written=written_files(tables[one.name], folder, digests),
        )
        for one in services
    ]
    return tuple(sorted(named, key=lambda service: (service.level, service.name)))


def _names_of_networks(table: Mapping[str, Any], rendered: Mapping[str, Any]) -> frozenset[str]:
    """Returns the names on the engine of the networks that a service is on."""
    named = rendered.get("networks") or {}
    return frozenset(str((named.get(key) or {}).get("name") or key) for key in networks_of(table))


def _model(
    table: Mapping[str, Any], name: str, images: Mapping[str, Image], *, behind: bool
) -> dict[str, Any]:
    """Returns the model from which a replica's spec is computed."""
    if name not in images:
        raise ReleaseIncomplete(
            f"service {name} has no image in this release", hint="send the digest of every service"
        )
    dropped = {"build", "x-deployer", *(("ports",) if behind else ())}
    model = {key: value for key, value in table.items() if key not in dropped and value is not None}
    return {**model, "image": str(images[name])}


def _check_services(tables: Mapping[str, Any]) -> None:
    """Raises ComposeRejected if there is no service, or one has the edge's name."""
    if not tables:
        raise ComposeRejected(
            "the Compose file has no service to run", hint="services behind a profile are not deployed"
        )
    if EDGE in tables:
        raise ComposeRejected(f"the service name {EDGE} is the deployer's own", hint="rename the service")


def _check_networks(networks: Mapping[str, Any]) -> None:
    """Raises ComposeRejected for the name of a network for parked replicas, and for more networks than one
    application needs: all applications share the engine's addresses.
    """
    if len(networks) > _MOST_NETWORKS:
        raise ComposeRejected(f"{len(networks)} networks are declared, and at most {_MOST_NETWORKS} may be")
    for key, network in networks.items():
        if str((network or {}).get("name") or key).endswith(ASIDE):
            raise ComposeRejected(f"network {key}: names that end in {ASIDE} are the deployer's own")


def _service(
    name: str,
    tables: Mapping[str, Mapping[str, Any]],
    image: Image | None,
    placing: Placing,
    level: int,
    routes: tuple[Route, ...],
    spec: str,
) -> Service:
    table = tables[name]
    away, parked = bool(without_edge(table)), hands_over_ports(table)
    return Service(
        name=name,
        image=image,
        replicas=replicas_of(table),
        order=placing.orders[name],
        level=level,
        completes=completes(name, tables),
        routes=routes,
        aliases=aliases_of(name, table, engine_names(table)) if routes else {},
        probe=None if away and not parked else probe_of(table),  # a proxy in front goes by Docker's verdict
        checked=is_checked(table),
        gate_seconds=gate_seconds_of(table),
        grace_seconds=seconds(table.get("stop_grace_period"), 10.0),
        drain_seconds=seconds(settings_of(table).get("drain-timeout"), DRAIN_SECONDS),
        spec=spec,
        publishes=() if routes else host_ports_of(table),
        rank=ranks_of(tables)[name],
        notice_seconds=notice_seconds(table) if away and not parked else 0.0,
        pace=pace_of(table),
        hands_over_ports=parked,
        # A health check decides alone; an open port proves less.
        asks=() if is_checked(table) else placing.asked.get(name, ()),
        presumed=name in placing.presumed,
        nameless=() if completes(name, tables) else nameless_of(table),
    )


def _edge_service(spec: str, ports: tuple[HostPort, ...], earlier: frozenset[str]) -> Service:
    return Service(
        name=EDGE,
        image=None,
        replicas=1,
        order=UpdateOrder(STOP_FIRST, "it holds the host's ports"),
        level=0,
        completes=False,
        routes=(),
        aliases={},
        probe=None,
        checked=False,
        gate_seconds=20.0,
        grace_seconds=1.0,  # the ports have no holder meanwhile; idle clients would prolong the stop for ever
        drain_seconds=0.0,
        spec=spec,
        publishes=ports,
        earlier=earlier,
    )
