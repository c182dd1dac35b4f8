"""Powers over the host that single values of a service, a network or a volume ask for. In: one value of a
rendered Compose model or of a request to the engine. Out: the grants that would allow it.

The judgement of the rendered model (`compose_privileges.py`) and the judgement of the posted requests
(`docker/engine_requests.py`) share these rules, so that both ask for the same grants.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from deployer.core.compose_labels import COMPOSE_LABELS
from deployer.core.permissions.grants import host_path
from deployer.core.permissions.memory import memory_file_systems, size_of_tmpfs

Table = Mapping[str, Any]

# Capabilities of every container unless it drops them: docs.docker.com/engine/containers/run.
_USUAL_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
# Values that give a container its own namespace, like an absent value.
_OWN_NAMESPACES = {"network_mode": ("none",), "ipc": ("none", "private", "shareable"), "cgroup": ("private",)}
_HARDENING_OPTIONS = (
    *("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"),
    *("apparmor=docker-default", "apparmor:docker-default"),
)
# Largest values without a grant; None: any value.
_LIMITS: Mapping[str, int | None] = {
    "core": None,
    "cpu": None,
    "data": None,
    "fsize": None,
    "locks": None,
    "memlock": 64 * 2**20,
    "nofile": 2**20,
    "nproc": None,
    "rss": None,
    "sigpending": 2**18,  # counted by user on the whole host, in kernel memory
    "stack": None,
}
# Kernel settings that belong to the container's own namespaces: docs.docker.com, `docker run --sysctl`.
_SYSCTLS = ("net.", "fs.mqueue.")
_PACKET_FRAGMENTS = (
    "frag"  # net.ipv4.ipfrag_high_thresh, net.ipv6.ip6frag_time, net.netfilter.nf_conntrack_frag6_...
)
_KERNEL_SYSCTLS = frozenset(
    f"kernel.{name}"
    for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_NETWORK_OPTIONS = frozenset(
    {
        "com.docker.network.driver.mtu",
        "com.docker.network.bridge.enable_icc",
        "com.docker.network.bridge.enable_ip_masquerade",
        "com.docker.network.container_iface_prefix",
    }
)
# Default subnets for networks: RFC 1918 and RFC 4193.
PRIVATE_SUBNETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")
_SHORTEST_PREFIX = {4: 16, 6: 48}
_BIND_FLAGS = frozenset({"bind", "rbind"})
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs"})
_PLAIN_FLAGS = frozenset({"nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "ro", "rw"})
_TMPFS_FLAGS = _PLAIN_FLAGS | {"size", "uid", "gid", "mode", "nr_inodes", "nr_blocks", "huge", "mpol"}
_RESERVED_LABELS = "deployer."
IMAGE_LABELS = "deployer.image."  # on images that the action built
# Programs on the host that act on containers by their labels: proxies, schedulers, updaters, backups.
CONTROLLER_LABELS = (
    *("autoheal", "caddy", "chadburn.", "cloudflare.", "com.centurylinklabs.watchtower", "coolify."),
    *("com.github.jrcs.letsencrypt_nginx_proxy_companion.", "com.github.nginx-proxy.", "crony.", "dagu."),
    *("deck-chores.", "deunhealth.", "diun.", "docker-volume-backup.", "dockflare.", "dokploy.", "dozzle."),
    *("fabio.", "kuma.", "ofelia.", "restic-compose-backup.", "sablier.", "swag", "swarm.cronjob."),
    *("traefik.", "tsdproxy.", "wud."),
)
# Programs on the host that act on containers by their variables: nginx-proxy and its companion.
CONTROLLER_VARIABLES = ("VIRTUAL_HOST", "VIRTUAL_HOST_MULTIPORTS", "LETSENCRYPT_HOST", "ACME_HOST")


def capabilities(added: Iterable[object]) -> Iterator[str]:
    """Yields capabilities beyond Docker's defaults."""
    for capability in added:
        name = str(capability).upper().removeprefix("CAP_")
        if name not in _USUAL_CAPABILITIES:
            yield f"cap_add:{name}"


def is_own_namespace(key: str, value: str) -> bool:
    """True if a namespace is the container's own. `key` is Compose's name of the namespace, as a network may
    be called `private`.
    """
    return value in ("", *_OWN_NAMESPACES.get(key, ()))


def security_options(options: Iterable[object]) -> Iterator[str]:
    """Yields options other than hardening ones."""
    yield from (f"security_opt:{option}" for option in options if str(option) not in _HARDENING_OPTIONS)


def limits(hard: Mapping[str, int]) -> Iterator[str]:
    """Yields limits (`ulimits`) with an effect outside the container: locked memory, priorities."""
    for name, value in sorted(hard.items()):
        most = _LIMITS.get(name, 0)
        if most is not None and (name not in _LIMITS or not 0 <= value <= most):
            yield f"ulimits:{name}"


def kernel_settings(sysctls: Iterable[str]) -> Iterator[str]:
    """Yields kernel settings outside the container's namespaces, and settings for fragments of packets, whose
    memory the kernel charges to no container.
    """
    for name in sorted(sysctls):
        own = name.startswith(_SYSCTLS) or name in _KERNEL_SYSCTLS
        if not own or _PACKET_FRAGMENTS in name:
            yield f"sysctls:{name}"


def runtime_annotations(given: Iterable[str]) -> Iterator[str]:
    """Yields every annotation: annotations control the engine's runtime."""
    yield from (f"annotations:{name}" for name in sorted(given))


def controller_labels(labels: Mapping[str, object]) -> Iterator[str]:
    """Yields labels by which other programs on the host act on the container, as `label:traefik.`. A label
    that disables them (`traefik.enable: "false"`) needs no grant.
    """
    given = [
        name.lower()
        for name, text in labels.items()
        if not (name.lower().endswith(".enable") and str(text).lower() == "false")
    ]
    for prefix in CONTROLLER_LABELS:
        if any(label.startswith(prefix) for label in given):
            yield f"label:{prefix}"


def controller_variables(names: Collection[str]) -> Iterator[str]:
    """Yields variables by which a proxy on the host sends requests to the container."""
    yield from (f"environment:{name}" for name in CONTROLLER_VARIABLES if name in names)


def reserved_labels(labels: Iterable[str]) -> list[str]:
    """Returns the labels with the deployer's prefix."""
    return sorted(label for label in labels if label.lower().strip().startswith(_RESERVED_LABELS))


def volume_labels(labels: Iterable[str]) -> Iterator[str]:
    """Yields labels of a new volume by which Compose and the deployer find its project."""
    for label in sorted(labels):
        if label.lower().strip().startswith((_RESERVED_LABELS, COMPOSE_LABELS)):
            yield f"label:{label}"


def subnets(pools: Iterable[Table], private: Collection[str]) -> Iterator[str]:
    """Yields subnets outside of `private` and subnets larger than one application needs: they would redirect
    the host's own requests into the network.
    """
    for pool in pools:
        for key, value in sorted(pool.items(), key=lambda item: item[0].lower()):
            if key.lower() in ("subnet", "iprange", "ip_range") and value and not _is_private(value, private):
                yield f"subnet:{value}"


def _is_private(subnet: object, private: Collection[str]) -> bool:
    try:
        wanted = ipaddress.ip_network(str(subnet), strict=False)
    except ValueError:
        return False
    allowed = (ipaddress.ip_network(text, strict=False) for text in private)
    if wanted.prefixlen < _SHORTEST_PREFIX[wanted.version]:
        return False
    return any(is_within(wanted, pool) for pool in allowed)


def is_within(one: ipaddress.IPv4Network | ipaddress.IPv6Network, other: object) -> bool:
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.subnet_of(other)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return one.subnet_of(other)
    return False


def network_options(options: Iterable[str]) -> Iterator[str]:
    """Yields options of a bridge that name interfaces or addresses of the host."""
    yield from (f"driver_opts:{name}" for name in sorted(set(options) - _NETWORK_OPTIONS))


def volume_options(options: Table) -> Iterator[str]:
    """Yields the grants of the local driver's options, which are mount(8)'s. Only a tmpfs with tmpfs options
    stays in memory; a bind of any type, and a device, is a path of the host.
    """
    if not options:
        return
    kind, device = str(options.get("type") or "").lower(), str(options.get("device") or "")
    flags = {flag.strip().partition("=")[0].lower() for flag in str(options.get("o") or "").split(",")} - {""}
    is_bound, is_without_device = bool(flags & _BIND_FLAGS), device in ("", "none", kind)
    # The engine opens a relative device from its own folder.
    if is_bound or not (is_without_device or kind in _NETWORK_FILE_SYSTEMS):
        yield f"bind:{host_path(device)}"
    is_tmpfs = kind == "tmpfs" and not is_bound and is_without_device and flags <= _TMPFS_FLAGS
    if is_tmpfs:
        yield from memory_file_systems(0, [size_of_tmpfs(str(options.get("o") or ""))])
    if not is_tmpfs and not (is_bound and flags <= _BIND_FLAGS | _PLAIN_FLAGS):
        yield f"mount:{kind or device or 'none'}"
    yield from (f"driver_opts:{name}" for name in sorted(set(options) - {"type", "device", "o"}))


def processor_shares(shares: object, weight: object) -> Iterator[str]:
    """Yields more weight for processor and disk than the default."""
    if _number(shares) > _USUAL_SHARES:
        yield "cpu_shares"
    if _number(weight) > _USUAL_WEIGHT:
        yield "blkio_config"


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 0


_USUAL_SHARES, _USUAL_WEIGHT = 1024, 500
MOST_GRACE = 3600.0  # seconds that a container may take to stop; an engine that shuts down waits for it
# World-readable files of the host that many images mount for its time zone.
READABLE_BY_ALL = frozenset({"/etc/localtime", "/etc/timezone"})
