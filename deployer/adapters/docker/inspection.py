"""Parser of the engine's inspections and listings. In: inspections, listings. Out: replicas, occupied ports
and names. Sends no request.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from deployer.core.compose.project_names import ComposeProject
from deployer.core.compose.volumes import data_in, is_scratch
from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.container_requests import HEIR_LABEL, SERVICE_LABEL, VOLUMES_LABEL
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.errors import EdgeUnavailable
from deployer.core.host_ports import HostPort, bound_ports, is_every_address
from deployer.core.model import ContainerState, Health, Replica
from deployer.core.rollout.conflicts import Held, Occupied
from deployer.core.rollout.desired_state import ASIDE, EDGE, SPEC_LABEL

MOST_LOG_BYTES = 2_000
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


def replica_of(details: Mapping[str, Any]) -> Replica:
    """Returns the replica that an inspection describes."""
    state, config = details["State"], details["Config"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    networks: Mapping[str, Any] = details["NetworkSettings"]["Networks"] or {}
    anonymous = _anonymous_volumes(details)
    return Replica(
        id=details["Id"],
        name=details["Name"].lstrip("/"),
        service=labels.get(SERVICE_LABEL) or labels.get(ComposeLabel.SERVICE, ""),
        spec=labels.get(SPEC_LABEL, ""),
        state=ContainerState(state["Status"]),
        health=Health((state.get("Health") or {}).get("Status", "none")),
        image=details["Image"],
        digest=config["Image"].partition("@")[2],
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(details.get("RestartCount") or 0),
        ports=_host_ports(details),
        addresses={
            name: settings["IPAddress"] for name, settings in networks.items() if settings.get("IPAddress")
        },
        started=_seconds(state.get("StartedAt", "")),
        parked=_is_aside(networks, str(details["HostConfig"].get("NetworkMode") or ""))
        or (HEIR_LABEL in labels and state["Status"] == ContainerState.RUNNING and lacks_ports(details)),
        port_successor=HEIR_LABEL in labels,
        volumes=data_in(anonymous),
        scratch=is_scratch(anonymous),
        writes=_writable_binds(details),
    )


def _is_aside(networks: Mapping[str, Any], mode: str) -> bool:
    """True if a container is on the network of parked ones or on none, unless it shares a container's
    network.
    """
    return any(name.endswith(ASIDE) for name in networks) or not (networks or mode.startswith("container:"))


def lacks_ports(details: Mapping[str, Any]) -> bool:
    """True if no host port of a container is bound although it asks for some. A removed one asks for none."""
    ports: Mapping[str, Any] = (details.get("NetworkSettings") or {}).get("Ports") or {}
    asks = (details.get("HostConfig") or {}).get("PortBindings")
    return bool(asks) and not any(ports.values())


def _seconds(time: str) -> float:
    """Converts RFC 3339 to Unix seconds; the engine writes year 1 for a container that never started."""
    try:
        return max(0.0, datetime.fromisoformat(time).timestamp())
    except ValueError:
        return 0.0


def _host_ports(details: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """Returns a container's host ports. A running one lists the port that it got out of a range; one that is
    about to start again has only the bindings that it asks for.
    """
    if details["State"]["Status"] == ContainerState.RUNNING:
        return bound_ports((details.get("NetworkSettings") or {}).get("Ports") or {})
    return bound_ports(details["HostConfig"].get("PortBindings") or {})


def is_ours(labels: Mapping[str, str]) -> bool:
    """True for replicas and the edge, which Compose counts as one-off; not for users' `docker compose
    run`.
    """
    return labels.get(ComposeLabel.ONE_OFF) != "True" or labels.get(SERVICE_LABEL) == EDGE


def occupied_by_others(
    project: str,
    listed: Sequence[Mapping[str, Any]],
    networks: Iterable[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
    processes: Iterable[Held],
) -> Occupied:
    """Collects foreign ports and names from the engine's lists. A port that a container publishes at the same
    address counts as the container's: the process that listens there is the engine's own proxy.
    """
    others = [one for one in listed if (one.get("Labels") or {}).get(ComposeLabel.PROJECT) != project]
    published = {_listener(held) for one in listed for held in _published_ports(one)}
    free_standing = [held for held in processes if _listener(held) not in published]
    return Occupied(
        ports=(*(held for one in others for held in _published_ports(one)), *free_standing),
        names={
            name.lstrip("/"): (one.get("Labels") or {}).get(ComposeLabel.PROJECT, "")
            for one in others
            for name in one["Names"]
        },
        networks=frozenset(str(network["Name"]) for network in networks),
        volumes=frozenset(str(volume["Name"]) for volume in volumes),
        projects=_projects(listed, volumes),
    )


def _projects(
    listed: Iterable[Mapping[str, Any]], volumes: Iterable[Mapping[str, Any]]
) -> dict[str, ComposeProject]:
    """Returns the projects in Compose's labels on containers and volumes."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    by_service = ((one, ComposeLabel.SERVICE, 0) for one in listed)
    by_volume = ((one, ComposeLabel.VOLUME, 1) for one in volumes)
    for one, label, kind in (*by_service, *by_volume):
        labels: Mapping[str, str] = one.get("Labels") or {}
        if labels.get(ComposeLabel.PROJECT) and labels.get(label):
            found.setdefault(labels[ComposeLabel.PROJECT], (set(), set()))[kind].add(labels[label])
    return {
        name: ComposeProject(name, frozenset(services), frozenset(kept))
        for name, (services, kept) in found.items()
    }


def gateways_of(networks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the host's addresses on the engine's bridges."""
    for network in networks:
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            if network.get("Driver") == "bridge" and pool.get("Gateway"):
                yield str(pool["Gateway"])


def peer_networks(networks: Iterable[Mapping[str, Any]], names: Collection[str]) -> tuple[PeerNetwork, ...]:
    """Returns the IPv4 pools of the bridges among `names`. An engine that was given a subnet without a
    gateway does not report one: it is the first address of the pool, or of the range for containers.
    """
    found = set()
    for network in networks:
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            subnet = ipaddress.ip_network(str(pool["Subnet"]), strict=False)
            if network["Name"] in names and network.get("Driver") == "bridge" and subnet.version == 4:
                ranges = {subnet, ipaddress.ip_network(str(pool.get("IPRange") or subnet), strict=False)}
                firsts = {
                    str(one[number]) for one in ranges for number in (0, 1) if number < one.num_addresses
                }
                gateways = {str(pool["Gateway"])} if pool.get("Gateway") else firsts
                found.add(PeerNetwork(str(subnet), tuple(sorted(gateways))))
    return tuple(sorted(found))


def _listener(held: Held) -> tuple[str, int, str]:
    """Returns a key of one listener: the engine's proxy may listen on `::` for `0.0.0.0`."""
    return "" if is_every_address(held.address) else held.address, held.port, held.protocol


def _published_ports(listed: Mapping[str, Any]) -> Iterator[Held]:
    """Yields the host ports of a running container; a stopped container holds none."""
    project = (listed.get("Labels") or {}).get(ComposeLabel.PROJECT)
    holder = f"container {listed['Names'][0].lstrip('/')}" + (f" of project {project}" if project else "")
    for port in listed.get("Ports") or ():
        if "PublicPort" in port:
            yield Held(port.get("IP", ""), int(port["PublicPort"]), port["Type"], holder)


def _writable_binds(details: Mapping[str, Any]) -> dict[str, str]:
    """Returns container path → host path of the writable bind mounts."""
    mounts = details.get("Mounts") or ()
    return {one["Destination"]: one["Source"] for one in mounts if one["Type"] == "bind" and one.get("RW")}


def _anonymous_volumes(details: Mapping[str, Any]) -> dict[str, str]:
    """Returns path → name of a container's anonymous volumes, and of the anonymous volumes that its label
    notes.
    """
    noted = _noted_volumes((details["Config"].get("Labels") or {}).get(VOLUMES_LABEL, ""))
    mounts = details.get("Mounts") or ()
    return noted | {
        one["Destination"]: one["Name"] for one in mounts if _ANONYMOUS.fullmatch(one.get("Name") or "")
    }


def _noted_volumes(label: str) -> dict[str, str]:
    """Returns path → name from the label; a named volume in a label is ignored."""
    try:
        noted = json.loads(label or "{}")
    except ValueError:
        return {}
    pairs = noted.items() if isinstance(noted, dict) else ()
    return {path: str(name) for path, name in pairs if _ANONYMOUS.fullmatch(str(name))}


def with_serving(replica: Replica, served: Mapping[str, set[str]]) -> Replica:
    """Marks a replica as serving: behind the edge if every route of its service has it, elsewhere while it
    runs.
    """
    mine = [addresses for name, addresses in served.items() if name.rpartition("_")[0] == replica.service]
    in_rotation = all(addresses & set(replica.addresses.values()) for addresses in mine)
    return replace(replica, serving=replica.running and in_rotation and not replica.parked)


def address_of(replica: Replica) -> str:
    """Returns an address of a replica. Raises EdgeUnavailable without one."""
    for address in replica.addresses.values():
        return address
    raise EdgeUnavailable(f"{replica.name} has no address on a network of the project")


def last_lines(raw: bytes) -> bytes:
    """Returns the end of a log in whole lines: redaction would not recognise half of a secret."""
    if len(raw) <= MOST_LOG_BYTES:
        return raw
    _, _, lines = raw[-MOST_LOG_BYTES - 1 :].partition(b"\n")
    return lines or b"(one line of %d bytes)" % len(raw)
