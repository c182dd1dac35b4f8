"""From what Compose would create to what is created. In: recorded requests of Compose. Out: the engine's own
request for one container.

Compose has turned the user's unmodified file into these requests, so everything a Compose file can say is
in them, and their `config-hash` is the one that `docker compose up -d` on that file computes: it finds
nothing to do. Changed here is only what a roll-out needs: the image by digest, which replica it is, our own
labels, and for a service behind the edge its published ports and its names on the networks, which the edge
has, and how often Docker asks it while it starts.
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

Body = Mapping[str, Any]

HOOK_LABEL, DEPLOYMENT_LABEL = "deployer.hook", "deployer.deployment"
NETWORKS_LABEL = "deployer.networks"  # of a replica that holds host ports itself: its networks
HEIR_LABEL = "deployer.takes-over"  # it starts aside and takes them over
VOLUMES_LABEL = "deployer.volumes"  # nameless ones of replicas before it that its release does not mount
SERVICE_LABEL = "deployer.service"  # where Compose's own label must say something else
# Labels by which the deployer knows its own containers; nobody else may set one.
OWN_LABELS = frozenset(
    {SPEC_LABEL, HOOK_LABEL, DEPLOYMENT_LABEL, NETWORKS_LABEL, HEIR_LABEL, SERVICE_LABEL, VOLUMES_LABEL}
)
_PASSING = (ComposeLabel.REPLACE, ComposeLabel.ENVIRONMENT_FILE)
_EDGE_COMMAND = (
    "haproxy",
    "-W",
    "-db",
    "-S",
    f"{EDGE_MOUNT}/master.sock,mode,600",
    "-f",
    f"{EDGE_MOUNT}/haproxy.cfg",
)
_SHARED = ("NetworkMode", "PidMode", "IpcMode")
# Nanoseconds. The gate makes the check's own request many times a second, while Docker starts a program in
# the container for each: with one in two seconds the deploy of ten services took 1.36 times that of the
# slowest alone, and 1.27 times without any (two processors).
_START_INTERVAL = 10_000_000_000


@dataclass(frozen=True)
class CreateRequest:
    """One container that Compose asked for: the id it was given for an answer, its name, the request, and the
    archives that were to be unpacked in it, each with the query that says where.
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
    """Which container is to be made: its name and number, of which local image, and the containers that
    others of its recording have become.
    """

    name: str
    number: int
    image_id: str
    model: str  # path of the Compose file that Compose's commands by hand are pointed to
    actual: Mapping[str, str]  # recorded name → name of what runs


def with_mounted_files(recorded: CreateRequest, folders: Folders) -> CreateRequest:
    """The same request with the release's own files from the folder that containers mount, read-only: a
    container that writes to them could otherwise change what Compose reads next.
    """
    host = recorded.body["HostConfig"]
    changed = {
        "Binds": [_bind_of_mounted(str(text), folders) for text in host.get("Binds") or ()] or None,
        "Mounts": [_mount_of_mounted(mount, folders) for mount in host.get("Mounts") or ()] or None,
    }
    kept = {key: value for key, value in host.items() if key not in changed}
    mounts = {key: value for key, value in changed.items() if value}
    return replace(recorded, body={**recorded.body, "HostConfig": {**kept, **mounts}})


def with_network_names(recorded: CreateRequest, names: Mapping[str, str]) -> CreateRequest:
    """The same request with networks by name: Compose sends the id of an external one. `names`: id → name."""
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
    """The name of a container whose fixed name the old one still has. No project's name has a dot in it, and
    no other project may take a name that begins with this one and a dot.
    """
    return f"{project}.{name}.next"


def _bind_of_mounted(text: str, folders: Folders) -> str:
    """`SOURCE:TARGET[:FLAGS]`."""
    source, _, rest = text.partition(":")
    if not (mounted := folders.mounted_path(source)):
        return text
    target, _, flags = rest.partition(":")
    kept = [flag for flag in flags.split(",") if flag not in ("", "ro", "rw")]
    return f"{mounted}:{target}:{','.join(['ro', *kept])}"


def _mount_of_mounted(mount: Body, folders: Folders) -> Body:
    mounted = folders.mounted_path(str(mount.get("Source") or "")) if mount.get("Type") == "bind" else ""
    return {**mount, "Source": mounted, "ReadOnly": True} if mounted else mount


def endpoints_of_label(text: str) -> dict[str, Any]:
    """Networks that the label `deployer.networks` names, each with the container's settings on it; none where
    it cannot be read.
    """
    try:
        named = json.loads(text or "{}")
    except ValueError:
        return {}
    return named if isinstance(named, dict) else {}


def free_numbers(project: str, service: str, names: Iterable[str], count: int) -> list[int]:
    """The lowest numbers whose names nobody has: they alternate instead of growing with every deploy."""
    taken = set(names)
    free: list[int] = []
    number = 1
    while len(free) < count:
        if name_of(project, service, number) not in taken:
            free.append(number)
        number += 1
    return free


def name_of(project: str, service: str, number: int) -> str:
    """As Compose names its containers."""
    return f"{project}-{service}-{number}"


def replica_body(
    recorded: CreateRequest, service: Service, place: ContainerIdentity, *, asked: bool = False
) -> dict[str, Any]:
    """The request for one replica. `asked`: the gate is known to reach the service with its own check."""
    body: dict[str, Any] = copy.deepcopy(dict(recorded.body))
    body["Image"] = str(service.image)
    body["Labels"] = _labels(recorded.body["Labels"], service, place)
    host = body["HostConfig"]
    host["Links"] = _translated(host.get("Links"), place)
    if service.routes:
        host["PortBindings"] = {}
    if asked and service.routes and "Healthcheck" in body:  # a proxy of the user's goes by Docker's word
        _ask_less_often(body["Healthcheck"])
    given_up = {alias for aliases in service.aliases.values() for alias in aliases}
    for settings in _endpoints(body).values():
        names = [alias for alias in settings.get("Aliases") or () if alias not in {*given_up, recorded.name}]
        settings["Aliases"] = [place.name, *names]
        settings["Links"] = _translated(settings.get("Links"), place)
    if service.publishes:
        body["Labels"][NETWORKS_LABEL] = json.dumps(_endpoints(body), sort_keys=True)
    if service.hands_over_ports:
        body["Labels"][HEIR_LABEL] = "true"
    return body


def _labels(recorded: Mapping[str, str], service: Service, place: ContainerIdentity) -> dict[str, str]:
    foreign = {*_PASSING, *reserved_labels(recorded)}
    kept = {name: text for name, text in recorded.items() if name not in foreign}
    return kept | {
        SPEC_LABEL: service.spec,
        ComposeLabel.IMAGE: place.image_id,
        ComposeLabel.CONTAINER_NUMBER: str(place.number),
        ComposeLabel.CONFIG_FILES: place.model,
    }


def _ask_less_often(check: dict[str, Any]) -> None:
    """While starting; within the start period, and after two of the later intervals at the latest."""
    given, later = check.get("StartInterval", 0), check.get("Interval") or _START_INTERVAL
    if given:
        most = min(_START_INTERVAL, 2 * later, check.get("StartPeriod") or _START_INTERVAL)
        check["StartInterval"] = max(given, most)


def inherit(body: dict[str, Any], volumes: Mapping[str, str], paths: Collection[str]) -> None:
    """Nameless volumes, path → name, of the container that is replaced, as Compose hands them on: where the
    new release has a nameless one too, at one of `paths`. The others are noted, for a release that has.
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
    """`container_name`, where the file gives one."""
    return str((application.document["services"].get(service) or {}).get("container_name") or "")


def hook_body(
    recorded: CreateRequest, service: Service, hook: Hook, place: ContainerIdentity, deployment: str
) -> dict[str, Any]:
    """The request for a hook: its service's, run once, reached by nobody and not counted by Compose."""
    body = replica_body(recorded, service, place)
    body |= {"Cmd": list(hook.command), "Healthcheck": {"Test": ["NONE"]}}
    body["HostConfig"] |= {"RestartPolicy": {"Name": "no"}, "PortBindings": {}}
    for settings in _endpoints(body).values():
        settings |= {"Aliases": [place.name], "IPAMConfig": None, "MacAddress": ""}
    body["Labels"] |= {ComposeLabel.ONE_OFF: "True", HOOK_LABEL: hook.moment, DEPLOYMENT_LABEL: deployment}
    return body


def hook_name(project: str, hook: Hook) -> str:
    return f"{project}-{hook.service}-{hook.moment}"


def own_name(application: DesiredState, service: Service) -> str:
    """The name that the user's own file has for the image of a service; empty where that is a digest, or
    names another image than the one that was deployed.
    """
    table = application.document["services"][service.name]
    name = str(table.get("image") or "")
    if not name:
        return f"{application.project}-{service.name}"
    same = service.image and split_host(split_tag(name)[0]) == split_host(service.image.repository)
    return name if same and "@" not in name else ""


def _translated(links: Sequence[str] | None, place: ContainerIdentity) -> list[str] | None:
    """`NAME:ALIAS` with the name of the container that runs in place of the recorded one."""
    pairs = [text.partition(":") for text in links or ()]
    return [f"{place.actual.get(name, name)}:{alias}" for name, _, alias in pairs] or None


def shares(one: CreateRequest, recorded: Sequence[CreateRequest]) -> bool:
    """True if the request names another container by its id, which Compose then counts as configuration."""
    host = one.body["HostConfig"]
    text = " ".join([*(str(host.get(space)) for space in _SHARED), *(host.get("VolumesFrom") or ())])
    return any(other.id in text for other in recorded)


def networks_in(recorded: Sequence[CreateRequest]) -> frozenset[str]:
    """The networks that the requests name."""
    return frozenset(name for one in recorded for name in _endpoints(one.body))


def _endpoints(body: Body) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    return found


def _edge_bindings(application: DesiredState, behind: Sequence[CreateRequest]) -> dict[str, list[Any]]:
    """Ports of the services behind it, or its own where TLS ends there → host bindings."""
    secure = {(port.service, str(port.published)): port.inside for port in application.tls}
    bindings: dict[str, list[Any]] = {}
    for one in behind:
        for port, bound in (one.body["HostConfig"].get("PortBindings") or {}).items():
            for binding in bound:
                inside = secure.get((one.service, binding["HostPort"]))
                bindings.setdefault(f"{inside}/tcp" if inside else port, []).append(binding)
    return bindings


def edge_body(application: DesiredState, recorded: Sequence[CreateRequest]) -> dict[str, Any]:
    """The request for the edge: it has the ports and names of all services behind it.

    For Compose it is a one-off container of one of them: so `docker compose down` on the user's own file
    takes it along and `up -d` neither counts it nor calls it an orphan.
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
