"""Create requests for replicas, hooks and the edge. In: recorded requests of Compose. Out: the body that the
engine receives for one container.

Compose has turned the user's unmodified file into the recorded requests, so they hold everything that a
Compose file can express, and their `config-hash` is the one that `docker compose up -d` on that file
computes: it finds nothing to do. A rollout changes only these parts: the image by digest, the replica's
number, the deployer's labels, and for a service behind the edge its published ports and its names on the
networks, which the edge has (the engine makes `hostname` such a name, so that goes as well), and the interval
of its health check while it starts.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import normpath
from typing import Any

from deployer.core.compose.deploy_hooks import Hook
from deployer.core.compose.rendering import Folders
from deployer.core.compose_labels import ComposeLabel
from deployer.core.images import split_host, split_tag
from deployer.core.permissions.host_access import reserved_labels
from deployer.core.rollout.desired_state import EDGE, EDGE_MOUNT, SPEC_LABEL, DesiredState, Service
from deployer.core.rollout.edge_container import engine_names

Body = Mapping[str, Any]

HOOK_LABEL, DEPLOYMENT_LABEL = "deployer.hook", "deployer.deployment"
NETWORKS_LABEL = "deployer.networks"  # networks of a replica that publishes host ports itself
HEIR_LABEL = "deployer.takes-over"  # on a replica that starts parked and takes host ports over
VOLUMES_LABEL = "deployer.volumes"  # anonymous volumes of earlier replicas that this release does not mount
SERVICE_LABEL = "deployer.service"  # on the edge, whose Compose label names another service
# Labels by which the deployer recognises its containers; images and Compose files may not set them.
OWN_LABELS = frozenset(
    {SPEC_LABEL, HOOK_LABEL, DEPLOYMENT_LABEL, NETWORKS_LABEL, HEIR_LABEL, SERVICE_LABEL, VOLUMES_LABEL}
)
_DROPPED_LABELS = (ComposeLabel.REPLACE, ComposeLabel.ENVIRONMENT_FILE)
_EDGE_COMMAND = (
    "haproxy",
    "-W",
    "-db",
    "-S",
    f"{EDGE_MOUNT}/master.sock,mode,600",
    "-f",
    f"{EDGE_MOUNT}/haproxy.cfg",
)
_NAMESPACE_MODES = ("NetworkMode", "PidMode", "IpcMode")
# Nanoseconds. The gate sends the check's request many times a second by itself; Docker starts a program in
# the container for each check. With a check every two seconds the deploy of ten services took 1.36 times as
# long as the slowest service alone, without checks 1.27 times (two processors).
_START_INTERVAL = 10_000_000_000


@dataclass(frozen=True)
class CreateRequest:
    """A recorded request of Compose for one container: the id that the recorder answered with, the name, the
    body, and the archives to unpack in the container, each with the query that names the place.
    """

    id: str
    name: str
    body: Body
    archives: tuple[tuple[str, bytes], ...] = ()

    @property
    def service(self) -> str:
        return str(self.body["Labels"][ComposeLabel.SERVICE])


@dataclass(frozen=True)
class ContainerIdentity:
    """Identity of a new container: its name, number and local image, and the running containers that stand
    for other recorded ones.
    """

    name: str
    number: int
    image_id: str
    model: str  # path of the Compose file for Compose commands by hand
    actual: Mapping[str, str]  # recorded name → name of the running container


def with_mounted_files(recorded: CreateRequest, folders: Folders) -> CreateRequest:
    """Returns the request with the release's own files mounted from the folder for containers, read-only: a
    container that writes to them could otherwise change the files that Compose reads next.
    """
    host = recorded.body["HostConfig"]
    changed = {
        "Binds": [_bind_to_mounted(str(text), folders) for text in host.get("Binds") or ()] or None,
        "Mounts": [_mount_to_mounted(mount, folders) for mount in host.get("Mounts") or ()] or None,
    }
    kept = {key: value for key, value in host.items() if key not in changed}
    mounts = {key: value for key, value in changed.items() if value}
    return replace(recorded, body={**recorded.body, "HostConfig": {**kept, **mounts}})


def with_network_names(recorded: CreateRequest, names: Mapping[str, str]) -> CreateRequest:
    """Returns the request with networks by name (`names`: id → name): Compose may send ids."""
    host, config = recorded.body["HostConfig"], recorded.body.get("NetworkingConfig") or {}
    endpoints = config.get("EndpointsConfig") or {}
    if not names.keys() & {*endpoints, str(host.get("NetworkMode") or "")}:
        return recorded
    mode = str(host.get("NetworkMode") or "")
    named = {names.get(key, key): settings for key, settings in endpoints.items()}
    changed = {
        "HostConfig": {**host, "NetworkMode": names.get(mode, mode)},
        "NetworkingConfig": {**config, "EndpointsConfig": named},
    }
    return replace(recorded, body={**recorded.body, **changed})


def next_name(project: str, name: str) -> str:
    """Returns the temporary name of a container whose fixed name the old container still has. A project's
    name contains no dot, and no other project may use a name that begins with this project's and a dot.
    """
    return f"{project}.{name}.next"


def _bind_to_mounted(text: str, folders: Folders) -> str:
    """Returns `SOURCE:TARGET[:FLAGS]` with the source that containers mount."""
    source, _, rest = text.partition(":")
    if not (mounted := folders.mounted_path(source)):
        return text
    target, _, flags = rest.partition(":")
    kept = [flag for flag in flags.split(",") if flag not in ("", "ro", "rw")]
    return f"{mounted}:{target}:{','.join(['ro', *kept])}"


def _mount_to_mounted(mount: Body, folders: Folders) -> Body:
    mounted = folders.mounted_path(str(mount.get("Source") or "")) if mount.get("Type") == "bind" else ""
    return {**mount, "Source": mounted, "ReadOnly": True} if mounted else mount


def endpoints_of_label(text: str) -> dict[str, Any]:
    """Returns the networks that the label `deployer.networks` names, each with the container's settings on
    it; none if the label cannot be read.
    """
    try:
        named = json.loads(text or "{}")
    except ValueError:
        return {}
    return named if isinstance(named, dict) else {}


def free_numbers(project: str, service: str, names: Iterable[str], count: int) -> list[int]:
    """Returns the lowest free numbers: they alternate instead of growing with every deploy."""
    taken = set(names)
    free: list[int] = []
    number = 1
    while len(free) < count:
        if name_of(project, service, number) not in taken:
            free.append(number)
        number += 1
    return free


def name_of(project: str, service: str, number: int) -> str:
    """Returns the name that Compose gives to a container."""
    return f"{project}-{service}-{number}"


def replica_body(
    recorded: CreateRequest, service: Service, place: ContainerIdentity, *, reached: bool = False
) -> dict[str, Any]:
    """Returns the body for one replica. `reached`: the gate's own check has reached the service."""
    body: dict[str, Any] = copy.deepcopy(dict(recorded.body))
    body["Image"] = str(service.image)
    body["Labels"] = _labels(recorded.body["Labels"], service, place)
    host = body["HostConfig"]
    host["Links"] = _renamed_links(host.get("Links"), place)
    if service.routes:
        host["PortBindings"] = {}
        body.pop("Hostname", None)
    if reached and service.routes and "Healthcheck" in body:  # the user's own proxy needs Docker's verdict
        _lengthen_start_interval(body["Healthcheck"])
    edge_aliases = {alias for aliases in service.aliases.values() for alias in aliases}
    for settings in _endpoints(body).values():
        names = [
            alias for alias in settings.get("Aliases") or () if alias not in {*edge_aliases, recorded.name}
        ]
        settings["Aliases"] = [place.name, *names]
        settings["Links"] = _renamed_links(settings.get("Links"), place)
    if service.publishes:
        body["Labels"][NETWORKS_LABEL] = json.dumps(_endpoints(body), sort_keys=True)
    if service.hands_over_ports:
        body["Labels"][HEIR_LABEL] = "true"
    return body


def _labels(recorded: Mapping[str, str], service: Service, place: ContainerIdentity) -> dict[str, str]:
    foreign = {*_DROPPED_LABELS, *reserved_labels(recorded)}
    kept = {name: text for name, text in recorded.items() if name not in foreign}
    return kept | {
        SPEC_LABEL: service.spec,
        ComposeLabel.IMAGE: place.image_id,
        ComposeLabel.CONTAINER_NUMBER: str(place.number),
        ComposeLabel.CONFIG_FILES: place.model,
    }


def _lengthen_start_interval(check: dict[str, Any]) -> None:
    """Lengthens the interval while starting: to the start period or two later intervals."""
    given, later = check.get("StartInterval", 0), check.get("Interval") or _START_INTERVAL
    if given:
        most = min(_START_INTERVAL, 2 * later, check.get("StartPeriod") or _START_INTERVAL)
        check["StartInterval"] = max(given, most)


def inherit_volumes(body: dict[str, Any], volumes: Mapping[str, str], paths: Collection[str]) -> None:
    """Mounts anonymous volumes (path → name) of the replaced container, as Compose does, where the new
    release has an anonymous volume too, at one of `paths`. A label notes the others, for a later release that
    has one.
    """
    host = body["HostConfig"]
    mounts = list(host.get("Mounts") or ())
    taken = {mount["Target"] for mount in mounts if mount["Type"] != "volume" or mount.get("Source")}
    taken |= {text.split(":")[1] for text in host.get("Binds") or () if ":" in text}
    taken |= set(host.get("Tmpfs") or ())
    handed = {path: name for path, name in volumes.items() if path in paths and path not in taken}
    added = [{"Type": "volume", "Source": name, "Target": path} for path, name in sorted(handed.items())]
    host["Mounts"] = [*(mount for mount in mounts if normpath(mount["Target"]) not in handed), *added]
    if left := {path: name for path, name in volumes.items() if path not in handed}:
        body["Labels"][VOLUMES_LABEL] = json.dumps(left, sort_keys=True)


def fixed_name(application: DesiredState, service: str) -> str:
    """Returns the service's `container_name`, empty without one and where the edge has it."""
    found = application.service(service)
    table = application.document["services"].get(service) or {}
    return "" if found and found.routes else str(table.get("container_name") or "")


def hook_body(
    recorded: CreateRequest, service: Service, hook: Hook, place: ContainerIdentity, deployment: str
) -> dict[str, Any]:
    """Returns the body for a hook: its service's, run once, without ports, not counted by Compose."""
    body = replica_body(recorded, service, place)
    body |= {"Cmd": list(hook.command), "Healthcheck": {"Test": ["NONE"]}}
    body.pop("Hostname", None)
    body["HostConfig"] |= {"RestartPolicy": {"Name": "no"}, "PortBindings": {}}
    for settings in _endpoints(body).values():
        settings |= {"Aliases": [place.name], "IPAMConfig": None, "MacAddress": ""}
    body["Labels"] |= {ComposeLabel.ONE_OFF: "True", HOOK_LABEL: hook.moment, DEPLOYMENT_LABEL: deployment}
    return body


def hook_name(project: str, hook: Hook) -> str:
    return f"{project}-{hook.service}-{hook.moment}"


def own_name(application: DesiredState, service: Service) -> str:
    """Returns the name of a service's image in the user's own file; empty if that is a digest, or names
    another image than the deployed one.
    """
    table = application.document["services"][service.name]
    name = str(table.get("image") or "")
    if not name:
        return f"{application.project}-{service.name}"
    same = service.image and split_host(split_tag(name)[0]) == split_host(service.image.repository)
    return name if same and "@" not in name else ""


def _renamed_links(links: Sequence[str] | None, place: ContainerIdentity) -> list[str] | None:
    """Returns links (`NAME:ALIAS`) with the running container's name instead of the recorded one."""
    pairs = [text.partition(":") for text in links or ()]
    return [f"{place.actual.get(name, name)}:{alias}" for name, _, alias in pairs] or None


def names_another_container(one: CreateRequest, recorded: Sequence[CreateRequest]) -> bool:
    """True if the request names a recorded container's id, which Compose counts as configuration."""
    host = one.body["HostConfig"]
    text = " ".join([*(str(host.get(space)) for space in _NAMESPACE_MODES), *(host.get("VolumesFrom") or ())])
    return any(other.id in text for other in recorded)


def networks_in(recorded: Sequence[CreateRequest]) -> frozenset[str]:
    """Returns the networks that the requests name."""
    return frozenset(name for one in recorded for name in _endpoints(one.body))


def _endpoints(body: Body) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    return found


def _edge_bindings(application: DesiredState, behind: Sequence[CreateRequest]) -> dict[str, list[Any]]:
    """Returns container port → host bindings of the edge; the port is its own where it ends TLS."""
    secure = {(port.service, str(port.published)): port.inside for port in application.tls}
    bindings: dict[str, list[Any]] = {}
    for one in behind:
        for port, bound in (one.body["HostConfig"].get("PortBindings") or {}).items():
            for binding in bound:
                inside = secure.get((one.service, binding["HostPort"]))
                bindings.setdefault(f"{inside}/tcp" if inside else port, []).append(binding)
    return bindings


def edge_body(application: DesiredState, recorded: Sequence[CreateRequest]) -> dict[str, Any]:
    """Returns the body for the edge: it has the ports and names of all services behind it.

    For Compose the edge is a one-off container of one of them: `up -d` neither counts it nor calls it an
    orphan.
    """
    edge, spec = application.edge, application.service(EDGE)
    assert edge and spec
    behind = [one for one in recorded if (found := application.service(one.service)) and found.routes]
    behind.sort(key=lambda one: one.service)
    bindings = _edge_bindings(application, behind)
    networks: dict[str, list[str]] = {}
    for one in behind:
        for network, settings in _endpoints(one.body).items():
            names = [alias for alias in settings.get("Aliases") or () if alias != one.name]
            names += engine_names(application.document["services"][one.service])
            networks.setdefault(network, []).extend(name for name in names if name not in networks[network])
    labels = {
        ComposeLabel.PROJECT: application.project,
        ComposeLabel.SERVICE: behind[0].service,
        ComposeLabel.ONE_OFF: "True",
        ComposeLabel.CONTAINER_NUMBER: "1",
        ComposeLabel.CONFIG_HASH: spec.spec,
        SERVICE_LABEL: EDGE,
        SPEC_LABEL: spec.spec,
    }
    return {
        "Image": edge.image,
        "Entrypoint": list(_EDGE_COMMAND),
        "Cmd": [],
        "User": edge.user,
        "Labels": labels,
        "ExposedPorts": {port: {} for port in bindings},
        "StopSignal": "SIGUSR1",
        "StopTimeout": 5,
        "HostConfig": {
            "Binds": [f"{edge.folder}:{EDGE_MOUNT}"],
            "NetworkMode": next(iter(networks), "default"),
            "PortBindings": bindings,
            "RestartPolicy": {"Name": "unless-stopped"},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
        },
        "NetworkingConfig": {
            "EndpointsConfig": {name: {"Aliases": names} for name, names in networks.items()}
        },
    }
