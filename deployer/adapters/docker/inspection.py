"""Parser of the engine's inspections and listings. In: inspections, listings. Out: replicas, what is taken.
Asks nothing itself.
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
_MADE_UP = re.compile(r"[0-9a-f]{64}")


def replica_of(details: Mapping[str, Any]) -> Replica:
    state, config = details["State"], details["Config"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    networks: Mapping[str, Any] = details["NetworkSettings"]["Networks"] or {}
    nameless = _nameless_volumes(details)
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
        ports=_held_by(details),
        addresses={
            name: settings["IPAddress"] for name, settings in networks.items() if settings.get("IPAddress")
        },
        started=_seconds(state.get("StartedAt", "")),
        parked=_is_aside(networks, str(details["HostConfig"].get("NetworkMode") or ""))
        or (HEIR_LABEL in labels and state["Status"] == ContainerState.RUNNING and lacks_ports(details)),
        port_successor=HEIR_LABEL in labels,
        volumes=data_in(nameless),
        scratch=is_scratch(nameless),
        writes=_writable_binds(details),
    )


def _is_aside(networks: Mapping[str, Any], mode: str) -> bool:
    """A container that shares another's network has none of its own either."""
    return any(name.endswith(ASIDE) for name in networks) or not (networks or mode.startswith("container:"))


def lacks_ports(details: Mapping[str, Any]) -> bool:
    """True if the host ports that a container asks for lead nowhere. A removed container asks for none."""
    ports: Mapping[str, Any] = (details.get("NetworkSettings") or {}).get("Ports") or {}
    asks = (details.get("HostConfig") or {}).get("PortBindings")
    return bool(asks) and not any(ports.values())


def _seconds(time: str) -> float:
    """RFC 3339 as Unix seconds; the engine says year 1 for never."""
    try:
        return max(0.0, datetime.fromisoformat(time).timestamp())
    except ValueError:
        return 0.0


def _held_by(details: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """A running container's own list names the port that it got out of a range; one that is about to start
    again has no list and asks for its bindings.
    """
    if details["State"]["Status"] == ContainerState.RUNNING:
        return bound_ports((details.get("NetworkSettings") or {}).get("Ports") or {})
    return bound_ports(details["HostConfig"].get("PortBindings") or {})


def is_ours(labels: Mapping[str, str]) -> bool:
    """`docker compose run` is somebody's own; the edge is a one-off container for Compose."""
    return labels.get(ComposeLabel.ONE_OFF) != "True" or labels.get(SERVICE_LABEL) == EDGE


def occupied_by_others(
    project: str,
    listed: Sequence[Mapping[str, Any]],
    networks: Iterable[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
    processes: Iterable[Held],
) -> Occupied:
    """From the engine's lists. A port that a container publishes at the same address is no process's: the
    engine's own proxy listens there.
    """
    others = [one for one in listed if (one.get("Labels") or {}).get(ComposeLabel.PROJECT) != project]
    published = {_listener(held) for one in listed for held in _held(one)}
    free_standing = [held for held in processes if _listener(held) not in published]
    return Occupied(
        ports=(*(held for one in others for held in _held(one)), *free_standing),
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
    """From the labels that Compose puts on containers and volumes."""
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
    """Addresses that the engine's host has on its own bridges."""
    for network in networks:
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            if network.get("Driver") == "bridge" and pool.get("Gateway"):
                yield str(pool["Gateway"])


def peer_networks(networks: Iterable[Mapping[str, Any]], names: Collection[str]) -> tuple[PeerNetwork, ...]:
    """The IPv4 pools of the bridges among `names`. An engine that was given a subnet alone does not tell the
    gateway: it is the first address of the pool, or of the range that containers get theirs from.
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
    """The engine's proxy may listen on `::` for `0.0.0.0`."""
    return "" if is_every_address(held.address) else held.address, held.port, held.protocol


def _held(listed: Mapping[str, Any]) -> Iterator[Held]:
    """Host ports of a running container; a stopped one holds none."""
    project = (listed.get("Labels") or {}).get(ComposeLabel.PROJECT)
    holder = f"container {listed['Names'][0].lstrip('/')}" + (f" of project {project}" if project else "")
    for port in listed.get("Ports") or ():
        if "PublicPort" in port:
            yield Held(port.get("IP", ""), int(port["PublicPort"]), port["Type"], holder)


def _writable_binds(details: Mapping[str, Any]) -> dict[str, str]:
    """Path → path of the host."""
    mounts = details.get("Mounts") or ()
    return {one["Destination"]: one["Source"] for one in mounts if one["Type"] == "bind" and one.get("RW")}


def _nameless_volumes(details: Mapping[str, Any]) -> dict[str, str]:
    """Path → name of the volumes that the engine itself made up a name for, and of those that its label
    notes.
    """
    noted = _noted_volumes((details["Config"].get("Labels") or {}).get(VOLUMES_LABEL, ""))
    mounts = details.get("Mounts") or ()
    return noted | {
        one["Destination"]: one["Name"] for one in mounts if _MADE_UP.fullmatch(one.get("Name") or "")
    }


def _noted_volumes(label: str) -> dict[str, str]:
    """Path → name as the label notes them; no label leads to a volume that somebody gave a name."""
    try:
        noted = json.loads(label or "{}")
    except ValueError:
        return {}
    pairs = noted.items() if isinstance(noted, dict) else ()
    return {path: str(name) for path, name in pairs if _MADE_UP.fullmatch(str(name))}


def with_serving(replica: Replica, served: Mapping[str, set[str]]) -> Replica:
    """Behind the edge a replica serves when every route of its service has it; any other while it runs."""
    mine = [addresses for name, addresses in served.items() if name.rpartition("_")[0] == replica.service]
    in_rotation = all(addresses & set(replica.addresses.values()) for addresses in mine)
    return replace(replica, serving=replica.running and in_rotation and not replica.parked)


def address_of(replica: Replica) -> str:
    """Returns an address of a replica. Raises EdgeUnavailable where it has none."""
    for address in replica.addresses.values():
        return address
    raise EdgeUnavailable(f"{replica.name} has no address on a network of the project")


def last_lines(raw: bytes) -> bytes:
    """Whole lines only: a secret that the cut went through would not be known as one any more."""
    if len(raw) <= MOST_LOG_BYTES:
        return raw
    _, _, lines = raw[-MOST_LOG_BYTES - 1 :].partition(b"\n")
    return lines or b"(one line of %d bytes)" % len(raw)
