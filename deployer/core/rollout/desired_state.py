"""From a release to what will run. In: the rendered Compose model and digests. Out: `Application`: services
and how to make them.

Nothing here changes the user's model. What is made from it differs in three ways (`blueprint.py`): images by
digest, a content label on every container, and the published ports of start-first services held by one more
container, the edge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.core.compose.content_hash import Files, bind_specs, spec_of
from deployer.core.compose.deploy_hooks import Hook, hooks_of, is_one_way
from deployer.core.compose.endpoints import Door, doors_of
from deployer.core.compose.external_proxy import notice_seconds, takes_over, without_edge
from deployer.core.compose.file_mounts import written_files
from deployer.core.compose.health_check import HttpProbe
from deployer.core.compose.image_defaults import with_image_defaults
from deployer.core.compose.rendering import ADDED, FILES, FOLDER, MOUNTED, RENDERING, Folders
from deployer.core.compose.routes import Placing, Route, end_tls
from deployer.core.compose.services import (
    START_FIRST,
    STOP_FIRST,
    Order,
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
from deployer.core.rollout.edge_container import EdgeSettings, aliases_of, edge_model

EDGE = "deployer-edge"
ASIDE = "_deployer-aside"  # ends the name of the network on which a replica waits for its host ports
SPEC_LABEL = "deployer.spec"
EDGE_MOUNT = "/run/edge"
DRAIN_SECONDS = 30.0
_MOST_NETWORKS = 16
_TOP = ("networks", "volumes", "configs", "secrets")


@dataclass(frozen=True)
class Service:
    """One Compose service as the planner and the gate see it. Durations in seconds."""

    name: str
    image: Image | None  # None for the edge, whose image the settings name
    replicas: int
    order: Order
    level: int
    completes: bool
    routes: tuple[Route, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(
        hash=False
    )  # network → names that the edge answers to in the service's place
    probe: HttpProbe | None
    checked: bool
    gate_seconds: float
    grace_seconds: float
    drain_seconds: float
    spec: str
    publishes: tuple[HostPort, ...]  # that its containers hold themselves
    rank: int = 0  # within its level, who starts first
    notice_seconds: float = 0.0  # until a proxy of the user's has found a new replica
    pace: Pace = field(default_factory=Pace)
    takes_over: bool = False  # a new replica waits aside for the networks and host ports of the old one
    asks: tuple[int, ...] = ()  # ports of which one must be open, where nothing else is asked
    presumed: bool = False  # its image alone names them, and nobody is seen to use them
    earlier: str | None = None  # of the edge: its spec without ports that are derived, empty for no edge
    written: tuple[str, ...] = ()  # files of the repository that the file mounts as if to be written
    nameless: tuple[str, ...] = ()  # paths of volumes that one replica hands on to the next
    networks: frozenset[str] = frozenset()  # names of its networks on the engine

    @property
    def start_first(self) -> bool:
        return self.order.name == START_FIRST


@dataclass(frozen=True)
class Application:
    """What one environment should run: services by level, the user's Compose model as rendered, and the
    name of the rendering that makes its containers.
    """

    project: str
    services: tuple[Service, ...]
    document: Mapping[str, Any]
    edge: EdgeSettings | None = None
    tls: tuple[TlsPort, ...] = ()
    rendering: str = ""
    doors: tuple[Door, ...] = ()
    hooks: tuple[Hook, ...] = ()
    one_way: bool = False  # once a pre-deploy hook ran, nothing goes back by itself
    folders: Folders = field(default_factory=Folders)
    permissions: Permissions = field(default_factory=lambda: Permissions(""))

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(route for service in self.services for route in service.routes)

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)


def nothing(project: str) -> Application:
    """The application of a project that runs nothing: what a failed first deploy goes back to."""
    return Application(project, (), {"name": project, "services": {}})


def assemble(
    rendered: Mapping[str, Any],
    images: Mapping[str, Image],
    project: str,
    edge: EdgeSettings,
    configs: Mapping[str, ImageConfig] | None = None,
    texts: Collection[str] = (),
) -> Application:
    """`configs`: service → its image's configuration; `texts`: the release's files, but the Compose file.
    Raises ComposeRejected or ReleaseIncomplete.
    """
    tables: Mapping[str, Mapping[str, Any]] = rendered.get("services") or {}
    _check_services(tables)
    _check_networks(rendered.get("networks") or {})
    check_ports(tables)
    # Containers inherit from images; specs are made from the user's own words, so that they stay as they are.
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
        ports, earlier = host_ports_of(models[EDGE]), _earlier_edge(rendered, edge)
        services.append(_edge_service(specs[EDGE], ports, earlier))
    document = {key: value for key, value in rendered.items() if key not in ADDED}
    return Application(
        project=project,
        services=_ordered(services, rendered),
        document=document,
        edge=edge if routes else None,
        tls=tls,
        rendering=str(rendered.get(RENDERING, "")),
        doors=doors_of(known, tls),
        hooks=hooks_of(tables),
        one_way=is_one_way(tables),
        folders=Folders(str(rendered.get(FOLDER, "")), str(rendered.get(MOUNTED, ""))),
    )


def _specs(
    rendered: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], levels: Mapping[str, int]
) -> dict[str, str]:
    """Service → its content hash; a service in another one's namespaces gets a new one with that one's."""
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
    """The spec of the edge with the declared ports alone, as deployers before made it; empty for no edge."""
    tables = rendered["services"]
    routes = Placing(tables, derive=False).routes
    tls, routes = end_tls(tables, routes) if edge.tls else ((), routes)
    model = edge_model({name: tables[name] for name in routes}, edge, tls)
    return _specs(rendered, {EDGE: model}, {})[EDGE] if routes else ""


def _ordered(services: Sequence[Service], rendered: Mapping[str, Any]) -> tuple[Service, ...]:
    """By level and name, each with the names of its networks and the files that it mounts to be written."""
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
    """Names on the engine of the networks that a service is on."""
    named = rendered.get("networks") or {}
    return frozenset(str((named.get(key) or {}).get("name") or key) for key in networks_of(table))


def _model(
    table: Mapping[str, Any], name: str, images: Mapping[str, Image], *, behind: bool
) -> dict[str, Any]:
    """What a replica is made from, for its spec."""
    if name not in images:
        raise ReleaseIncomplete(
            f"service {name} has no image in this release", hint="send the digest of every service"
        )
    dropped = {"build", "x-deployer", *(("ports",) if behind else ())}
    model = {key: value for key, value in table.items() if key not in dropped and value is not None}
    return {**model, "image": str(images[name])}


def _check_services(tables: Mapping[str, Any]) -> None:
    """Raises ComposeRejected where there is none, or one has the edge's name."""
    if not tables:
        raise ComposeRejected(
            "the Compose file has no service to run", hint="services behind a profile are not deployed"
        )
    if EDGE in tables:
        raise ComposeRejected(f"the service name {EDGE} is the deployer's own", hint="rename the service")


def _check_networks(networks: Mapping[str, Any]) -> None:
    """Raises ComposeRejected for the name of one on which replicas wait, and for more than one application
    needs: the engine's addresses are for all of them.
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
    away, aside = bool(without_edge(table)), takes_over(table)
    return Service(
        name=name,
        image=image,
        replicas=replicas_of(table),
        order=placing.orders[name],
        level=level,
        completes=completes(name, tables),
        routes=routes,
        aliases=aliases_of(name, table) if routes else {},
        probe=None if away and not aside else probe_of(table),  # a proxy in front goes by Docker's word
        checked=is_checked(table),
        gate_seconds=gate_seconds_of(table),
        grace_seconds=seconds(table.get("stop_grace_period"), 10.0),
        drain_seconds=seconds(settings_of(table).get("drain-timeout"), DRAIN_SECONDS),
        spec=spec,
        publishes=() if routes else host_ports_of(table),
        rank=ranks_of(tables)[name],
        notice_seconds=notice_seconds(table) if away and not aside else 0.0,
        pace=pace_of(table),
        takes_over=aside,
        # A health check decides alone; an open port would say less than it.
        asks=() if is_checked(table) else placing.asked.get(name, ()),
        presumed=name in placing.presumed,
        nameless=() if completes(name, tables) else nameless_of(table),
    )


def _edge_service(spec: str, ports: tuple[HostPort, ...], earlier: str) -> Service:
    return Service(
        name=EDGE,
        image=None,
        replicas=1,
        order=Order(STOP_FIRST, "it holds the host's ports"),
        level=0,
        completes=False,
        routes=(),
        aliases={},
        probe=None,
        checked=False,
        gate_seconds=20.0,
        grace_seconds=1.0,  # nobody holds the ports meanwhile; idle clients would make it wait for ever
        drain_seconds=0.0,
        spec=spec,
        publishes=ports,
        earlier=earlier,
    )
