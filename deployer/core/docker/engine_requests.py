"""The last gate: requests to the Docker engine, judged as they are posted. In: a request's body, the
permissions of its project. Out: the judged request, or PowerRefused with the grants that it would need.

Every field of a request is named here or in `host_config.py`, and a field that is not named, by this version
or by a newer engine, must be empty. So no reading of a Compose file decides who becomes root: a request that
does not fit is not sent, whoever wrote it.

Source: https://docs.docker.com/reference/api/engine/version/v1.51/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.core.docker.container_requests import NETWORKS_LABEL, OWN_LABELS, networks_of_label
from deployer.core.docker.host_config import asked_by_host_config, asked_by_links, unknown_fields
from deployer.core.errors import ComposeRejected
from deployer.core.image_config import ImageConfig
from deployer.core.permissions import host_access
from deployer.core.permissions.project_permissions import NOTHING_PRESENT, Permissions, Present

Body = Mapping[str, Any]

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_FREE = frozenset(
    {
        *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts"),
        *("Tty", "OpenStdin", "StdinOnce", "Cmd", "Healthcheck", "ArgsEscaped", "Volumes", "WorkingDir"),
        *("Entrypoint", "NetworkDisabled", "MacAddress", "OnBuild", "StopSignal", "Shell"),
    }
)
_JUDGED = frozenset({"Env", "StopTimeout", "Image", "Labels", "HostConfig", "NetworkingConfig"})
_ENDPOINT = frozenset(
    {
        *("IPAMConfig", "Aliases", "MacAddress", "NetworkID", "EndpointID", "Gateway", "IPAddress"),
        *("IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "DNSNames", "GwPriority"),
        *("DriverOpts", "Links"),
    }
)
_ARCHIVE = frozenset({"path", "noOverwriteDirNonDir", "copyUIDGID"})
_NETWORK = frozenset(
    {
        *(
            "Name",
            "CheckDuplicate",
            "Internal",
            "Attachable",
            "EnableIPv4",
            "EnableIPv6",
            "Labels",
            "Options",
        ),
        *("Driver", "IPAM", "Scope"),
    }
)
_REACHING = ("Privileged", "Devices", "DeviceRequests", "PidMode", "IpcMode", "VolumesFrom", "PortBindings")
_VOLUME = frozenset({"Name", "Driver", "DriverOpts", "Labels"})
_NO_IMAGE_CONFIG = ImageConfig()
_VERSION = re.compile(r"^/v[0-9.]+(?=/)")
_LOOKS = re.compile(r"/(?:_ping|version|info|networks(?:/[^/]+)?|volumes(?:/[^/]+)?|containers/[^/]+/json)")


@dataclass(frozen=True)
class PermittedContainer:
    """A request for a container that was judged. Only `permit_container` makes one, and the engine takes
    nothing else. `archives`: files to unpack in it, each with the query that says where.
    """

    name: str
    body: Body = field(hash=False)
    archives: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class RequestedImage:
    """The image that a container must be made of, as the request names it, and its configuration."""

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
    """Raises PowerRefused."""
    asked = [
        *_of_config(name, body, image, permissions),
        *asked_by_host_config(body.get("HostConfig") or {}, permissions, present),
        *_of_endpoints(body.get("NetworkingConfig") or {}, permissions, present),
        *_of_archives(archives),
    ]
    permissions.refuse([(f"container {name}", grant) for grant in asked])
    return PermittedContainer(name, body, tuple(archives))


def permit_copy(name: str, body: Body, permissions: Permissions) -> PermittedContainer:
    """The copy of a container that runs: `copy_body` takes its network, ports, names and data away and adds
    nothing. Raises PowerRefused for a copy that is not alone.
    """
    host: Body = body.get("HostConfig") or {}
    is_alone = host.get("NetworkMode") == "none" and not body.get("NetworkingConfig")
    reaches = [key for key in _REACHING if host.get(key)]
    if not is_alone or reaches:
        permissions.refuse([(f"container {name}", f"request:copy {key}") for key in reaches or ["network"]])
    return PermittedContainer(name, body)


def permit_network(body: Body, permissions: Permissions) -> None:
    """Raises PowerRefused for a network that reaches beyond its project."""
    name = str(body.get("Name") or "")
    permissions.refuse([(f"network {name}", grant) for grant in _of_network(name, body, permissions)])


def permit_volume(body: Body, permissions: Permissions) -> None:
    """Raises PowerRefused for a volume that is no storage of its own project."""
    name = str(body.get("Name") or "")
    permissions.refuse([(f"volume {name}", grant) for grant in _of_volume(name, body, permissions)])


def permit_call(method: str, path: str, body: bytes, permissions: Permissions) -> None:
    """Judges a call of Compose's own to the engine's API. `path` with its query. Raises PowerRefused,
    ComposeRejected for a call that Compose has no need of here.
    """
    bare = _VERSION.sub("", path.partition("?")[0])
    if method in ("GET", "HEAD") and _LOOKS.fullmatch(bare):
        return
    if (method, bare) not in _MAKES:
        raise ComposeRejected(
            f"docker compose asks the engine for {method} {bare}, which the deployer does not pass on",
            hint="create what the Compose file needs by hand and declare it as external",
        )
    _MAKES[method, bare](_object(body), permissions)


def _object(body: bytes) -> Body:
    """Raises ComposeRejected for a body that is no JSON object."""
    try:
        table = json.loads(body)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise ComposeRejected("docker compose sent the engine a body that is no JSON object")
    return table


_MAKES = {("POST", "/networks/create"): permit_network, ("POST", "/volumes/create"): permit_volume}


def may_tag(name: str, permissions: Permissions) -> bool:
    """Whether the project may give its own image the local name `name`: never one that stands for a service
    of another project.
    """
    projects = {permissions.project, *permissions.around.projects}
    return "/" in name or host_access.owner_of(name, projects) in ("", permissions.project)


def _of_config(name: str, body: Body, image: RequestedImage, permissions: Permissions) -> Iterator[str]:
    yield from unknown_fields("", body, _FREE | _JUDGED)
    if int(body.get("StopTimeout") or 0) > host_access.MOST_GRACE:
        yield "stop_grace_period"
    if body.get("Image") != image.name:
        yield f"request:Image={body.get('Image')}"
    labels: Mapping[str, str] = body.get("Labels") or {}
    if labels.get(_PROJECT) != permissions.project:
        yield f"label:{_PROJECT}={labels.get(_PROJECT)}"
    yield from _of_own_labels(labels, image.config.labels, permissions)
    yield from host_access.controller_labels({**image.config.labels, **labels})
    environment = (*image.config.environment, *(body.get("Env") or ()))
    yield from host_access.controller_variables({str(text).partition("=")[0] for text in environment})
    own = f"{permissions.project}-{labels.get(_SERVICE)}-"
    judge = host_access.default_name if name.removeprefix(own).isdecimal() else host_access.container_name
    yield from judge(name, permissions.project, permissions.around.projects)


def _of_own_labels(
    labels: Mapping[str, str], inherited: Mapping[str, str], permissions: Permissions
) -> Iterator[str]:
    """Labels by which the deployer knows its containers: it writes them itself, no image and no file does."""
    foreign = [label for label in host_access.reserved_labels(labels) if label not in OWN_LABELS]
    foreign += [
        label
        for label in host_access.reserved_labels(inherited)
        if not label.startswith(host_access.IMAGE_LABELS)
    ]
    yield from (f"label:{label}" for label in foreign)
    for network in networks_of_label(labels.get(NETWORKS_LABEL, "")):
        if not permissions.allows_network(network):
            yield f"network:{network}"


def _of_endpoints(config: Body, permissions: Permissions, present: Present) -> Iterator[str]:
    yield from unknown_fields("NetworkingConfig.", config, {"EndpointsConfig"})
    for name, endpoint in (config.get("EndpointsConfig") or {}).items():
        if not permissions.allows_network(name):
            yield f"network:{name}"
        settings: Body = endpoint or {}
        yield from unknown_fields("Endpoint.", settings, _ENDPOINT)
        yield from host_access.network_options(settings.get("DriverOpts") or {})
        yield from asked_by_links(settings.get("Links") or (), present)


def _of_archives(archives: Sequence[tuple[str, bytes]]) -> Iterator[str]:
    """The engine resolves the path of an archive inside the container."""
    for query, _ in archives:
        keys = {part.partition("=")[0] for part in query.split("&") if part}
        yield from (f"request:archive.{key}" for key in sorted(keys - _ARCHIVE))


def _of_network(name: str, body: Body, permissions: Permissions) -> Iterator[str]:
    yield from unknown_fields("Network.", body, _NETWORK)
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
    yield from _of_project_label(body, permissions)


def _of_volume(name: str, body: Body, permissions: Permissions) -> Iterator[str]:
    yield from unknown_fields("Volume.", body, _VOLUME)
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
    if labels.get(_PROJECT, permissions.project) != permissions.project:
        yield f"label:{_PROJECT}={labels[_PROJECT]}"
    yield from (f"label:{label}" for label in host_access.reserved_labels(labels))
