"""Judgement of container requests to the Docker engine, as they are posted. In: a request's body, the
permissions of its project. Out: the judged request, or PowerRefused with the grants that it would need.

Every field of a request is named (`request_shapes.py`, `host_config.py` and here), and a field that is not
named, for example one of a newer engine, must be empty. So the safety of the host does not depend on how a
Compose file is read: a request that does not fit is not sent, no matter where it comes from. The engine's
adapter takes only the types that are made here, in `network_requests.py` and in `compose_calls.py`, so that a
request past this judgement is a type error.

Source: https://docs.docker.com/reference/api/engine/version/v1.51/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.container_requests import (
    NETWORKS_LABEL,
    OWN_LABELS,
    SERVICE_LABEL,
    endpoints_of_label,
)
from deployer.core.docker.host_config import HOST, asked_by_host_config, is_inside
from deployer.core.docker.network_requests import asked_by_endpoints
from deployer.core.docker.request_shapes import (
    ENDPOINT,
    HEALTHCHECK,
    NAMES,
    NETWORKING,
    Each,
    Fields,
    unnamed_fields,
)
from deployer.core.docker.reserved_addresses import refuse_ports
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image, canonical, split_tag
from deployer.core.permissions import engine_load, foreign_names, host_access, log_options
from deployer.core.permissions.grants import PowerRefused
from deployer.core.permissions.project_permissions import NOTHING_PRESENT, Permissions, Present
from deployer.core.rollout.desired_state import Service

Body = Mapping[str, Any]

_FREE = frozenset(
    {
        *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty"),
        *("OpenStdin", "StdinOnce", "Cmd", "ArgsEscaped", "WorkingDir", "Entrypoint", "NetworkDisabled"),
        *("MacAddress", "OnBuild", "StopSignal", "Shell"),
    }
)
_JUDGED = frozenset({"Env", "StopTimeout", "Image", "Labels"})
CONTAINER = Fields(
    "",
    _FREE | _JUDGED,
    {
        "HostConfig": HOST,
        "NetworkingConfig": NETWORKING,
        "Healthcheck": HEALTHCHECK,
        "ExposedPorts": NAMES,
        "Volumes": NAMES,
    },
)
_ARCHIVE = frozenset({"path", "noOverwriteDirNonDir", "copyUIDGID"})
_NO_IMAGE_CONFIG = ImageConfig()
# Fields of a copied container that would reach outside of it.
_NOT_COPIED = (
    *("Privileged", "Devices", "DeviceRequests", "DeviceCgroupRules", "PidMode", "IpcMode", "UTSMode"),
    *("UsernsMode", "CgroupnsMode", "CgroupParent", "VolumesFrom", "PortBindings", "Binds", "Links"),
)


@dataclass(frozen=True)
class PermittedContainer:
    """A judged request for a container. Only `permit_container` makes one, and the engine's adapter takes
    nothing else. `archives`: files to unpack in it, each with the query that names the place.
    """

    name: str
    body: Body = field(hash=False)
    archives: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class PermittedName:
    """A judged name for a container. Only `permit_name` makes one."""

    name: str


@dataclass(frozen=True)
class PermittedTag:
    """A judged local name for an image. Only `permit_tag` makes one."""

    image: Image
    repository: str
    tag: str


@dataclass(frozen=True)
class RequestedImage:
    """Image that a container must be made of: its name in the request, and its configuration."""

    name: str
    config: ImageConfig = _NO_IMAGE_CONFIG


def permit_container(
    name: str,
    body: Body,
    image: RequestedImage,
    permissions: Permissions,
    present: Present = NOTHING_PRESENT,
    archives: Sequence[tuple[str, bytes]] = (),
) -> PermittedContainer:
    """Permits a container. Raises PowerRefused, or PortTaken for a port at which the deployer itself
    listens.
    """
    where, host = f"container {name}", body.get("HostConfig") or {}
    permissions.refuse([(where, grant) for grant in unnamed_fields(body, CONTAINER)])
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    asked = [
        *_asked_by_config(name, body, image, permissions, present),
        *asked_by_host_config(host, permissions, present),
        *asked_by_endpoints(endpoints, permissions, present),
        *_asked_by_archives(archives),
    ]
    permissions.refuse([(where, grant) for grant in asked])
    refuse_ports(where, host.get("PortBindings") or {}, present.ports)
    return PermittedContainer(name, body, tuple(archives))


def permit_copy(
    name: str,
    body: Body,
    image: RequestedImage,
    permissions: Permissions,
    archives: Sequence[tuple[str, bytes]] = (),
) -> PermittedContainer:
    """Permits the copy of a container that tests its start: judged like every container, and without network,
    namespace, device and mount of the host except the release's own files. Raises PowerRefused.
    """
    host: Body = body.get("HostConfig") or {}
    kept = [key for key in _NOT_COPIED if host.get(key)]
    if host.get("NetworkMode") != "none" or body.get("NetworkingConfig"):
        kept.append("NetworkMode")
    own = (*permissions.readable, *host_access.READABLE_BY_ALL)
    for mount in host.get("Mounts") or ():
        if mount.get("Type") == "bind" and not is_inside(str(mount.get("Source")), own):
            kept.append(f"a mount of {mount.get('Source')}")
    if kept:
        raise PowerRefused(f"container {name} is a copy for a test, which must not have {', '.join(kept)}")
    return permit_container(name, body, image, permissions, NOTHING_PRESENT, archives)


def permit_name(name: str, permissions: Permissions) -> PermittedName:
    """Permits a name. Raises PowerRefused if another project's next container may need it."""
    asked = foreign_names.container_name(name, permissions.project, permissions.around.known)
    permissions.refuse([(f"container {name}", grant) for grant in asked])
    return PermittedName(name)


def permit_tag(name: str, service: Service, permissions: Permissions) -> PermittedTag | None:
    """Permits a local name for the image of a service: a name of the image's own repository, or the one that
    Compose gives to an image that it builds. None for the name of another image or of another project's
    service.
    """
    image, (repository, tag) = service.image, split_tag(name)
    assert image, "the edge's image gets no name"
    short = canonical(name).removeprefix("docker.io/library/")
    is_built = name == f"{permissions.project}-{service.name}"
    is_same = canonical(name) == canonical(image.repository)
    known = permissions.around.known
    is_foreign = "/" not in short and foreign_names.is_image_of_another(short, permissions.project, known)
    if not (is_built or is_same) or is_foreign:
        return None
    return PermittedTag(image, repository, tag or "latest")


def _asked_by_config(
    name: str, body: Body, image: RequestedImage, permissions: Permissions, present: Present
) -> Iterator[str]:
    if int(body.get("StopTimeout") or 0) > host_access.MOST_GRACE:
        yield "stop_grace_period"
    yield from engine_load.health_check(*_intervals(body.get("Healthcheck") or {}, image.config.healthcheck))
    yield from engine_load.size(body)
    if body.get("Image") != image.name:
        yield f"request:Image={body.get('Image')}"
    labels: Mapping[str, str] = body.get("Labels") or {}
    if labels.get(ComposeLabel.PROJECT) != permissions.project:
        yield f"label:{ComposeLabel.PROJECT}={labels.get(ComposeLabel.PROJECT)}"
    yield from _asked_by_reserved_labels(labels, image.config.labels)
    yield from _asked_by_noted_networks(labels.get(NETWORKS_LABEL, ""), permissions, present)
    yield from host_access.controller_labels({**image.config.labels, **labels})
    variables = _variables((*image.config.environment, *(body.get("Env") or ())))
    yield from host_access.controller_variables(variables)
    log: Body = (body.get("HostConfig") or {}).get("LogConfig") or {}
    every_label = {**image.config.labels, **labels}
    driver, options = str(log.get("Type") or ""), log.get("Config") or {}
    yield from log_options.log_driver(driver, options, every_label, variables)
    service = str(labels.get(SERVICE_LABEL) or labels.get(ComposeLabel.SERVICE) or "")
    if not foreign_names.is_default(name, permissions.project, service):
        yield from foreign_names.container_name(name, permissions.project, permissions.around.known)


def _intervals(own: Body, inherited: Body) -> tuple[float, float]:
    """Returns the seconds between two checks, running and starting; the image's if the request has none."""
    if (own.get("Test") or inherited.get("Test") or ["NONE"])[0] == "NONE":
        return 0, 0
    interval, start = (int(own.get(key) or inherited.get(key) or 0) for key in ("Interval", "StartInterval"))
    return interval / 1e9, start / 1e9


def _variables(environment: Iterable[object]) -> dict[str, str]:
    pairs = (str(text).partition("=") for text in environment)
    return {name: value for name, _, value in pairs}


def _asked_by_reserved_labels(labels: Mapping[str, str], inherited: Mapping[str, str]) -> Iterator[str]:
    """Yields grants for the deployer's labels in the request, except those that it writes, and in the
    image.
    """
    foreign = [label for label in host_access.reserved_labels(labels) if label not in OWN_LABELS]
    foreign += [
        label
        for label in host_access.reserved_labels(inherited)
        if not label.startswith(host_access.IMAGE_LABELS)
    ]
    yield from (f"label:{label}" for label in foreign)


def _asked_by_noted_networks(label: str, permissions: Permissions, present: Present) -> Iterator[str]:
    """Yields grants for the networks of a label, to which the container will be connected, with its
    settings.
    """
    noted = endpoints_of_label(label)
    yield from unnamed_fields(noted, Each(ENDPOINT))
    yield from asked_by_endpoints(noted, permissions, present)


def _asked_by_archives(archives: Sequence[tuple[str, bytes]]) -> Iterator[str]:
    """Yields grants for unknown keys in the queries; the engine resolves an archive's path in the
    container.
    """
    for query, _ in archives:
        keys = {part.partition("=")[0] for part in query.split("&") if part}
        yield from (f"request:archive.{key}" for key in sorted(keys - _ARCHIVE))
