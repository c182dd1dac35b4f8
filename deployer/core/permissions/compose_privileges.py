"""Powers over the host that a rendered Compose model asks for. In: a rendered model, the settings'
grants. Out: nothing, or PowerRefused. Never changes the model.

A client that may create any container is root on the engine's host, so a repository gets no such power by
writing it into its Compose file: the server's settings grant each by name (`grants.py`). This check comes
early and names the keys of the file; the later requests to the engine are checked as well
(`docker/engine_requests.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from deployer.core.compose.rendering import FOLDER
from deployer.core.compose.services import networks_of, replicas_of, seconds
from deployer.core.errors import ComposeRejected
from deployer.core.permissions import engine_load, foreign_names, host_access, log_options, memory
from deployer.core.permissions.grants import Asked, host_path, refuse
from deployer.core.permissions.project_permissions import ALONE, Neighbourhood

Table = Mapping[str, Any]

_NAMESPACES = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
_NAMED = ("cgroup_parent", "runtime")
_FLAGS = (
    "credential_spec",
    "gpus",
    "models",
    "oom_kill_disable",
    "privileged",
    "provider",
    "use_api_socket",
)
_LISTED = ("device_cgroup_rules", "external_links")
_SAFE_MOUNTS = ("volume", "tmpfs")
_THROTTLES = ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "weight_device")


def check_privileges(
    rendered: Table,
    granted: Collection[str],
    *,
    project: str,
    setting: str,
    around: Neighbourhood = ALONE,
) -> None:
    """Raises PowerRefused with every power that the model asks for and the settings do not grant,
    ComposeRejected for a label that is reserved for the deployer. `setting` names the settings' table that
    could grant the powers.
    """
    _refuse_reserved(rendered)
    refuse(asked_by_model(rendered, project, around), granted, setting)


def asked_by_model(rendered: Table, project: str, around: Neighbourhood = ALONE) -> Iterator[Asked]:
    """Yields each power that the model asks for: the part that asks, and the grant that would allow it."""
    folder = str(rendered.get(FOLDER, ""))
    for name, service in (rendered.get("services") or {}).items():
        for grant in _asked_by_service(service, folder, project, around):
            yield f"service {name}", grant
    yield from (("the project", grant) for grant in _asked_by_counts(rendered))
    if rendered.get("models"):
        yield "models", "models"
    for kind in ("configs", "secrets"):
        for name, table in (rendered.get(kind) or {}).items():
            if path := str((table or {}).get("file") or ""):
                yield from ((f"{kind[:-1]} {name}", grant) for grant in _asked_by_path(path, folder))
    for name, table in (rendered.get("volumes") or {}).items():
        yield from (
            (f"volume {name}", grant) for grant in _asked_by_volume(name, table or {}, project, around)
        )
    for name, table in (rendered.get("networks") or {}).items():
        yield from (
            (f"network {name}", grant) for grant in _asked_by_network(name, table or {}, project, around)
        )


def _refuse_reserved(rendered: Table) -> None:
    """Raises ComposeRejected for a label, anywhere in the model, that marks the deployer's own containers."""
    for where, labels in _labels_in(rendered):
        if reserved := host_access.reserved_labels(labels):
            raise ComposeRejected(
                f"{where} has the label {reserved[0]}, and `deployer.` begins the deployer's own labels",
                hint="rename the label",
            )


def _labels_in(rendered: Table) -> Iterator[tuple[str, Table]]:
    for name, service in (rendered.get("services") or {}).items():
        yield f"service {name}", service.get("labels") or {}
        yield f"service {name}, deploy,", (service.get("deploy") or {}).get("labels") or {}
        for mount in service.get("volumes") or ():
            yield f"service {name}, volumes,", (mount.get("volume") or {}).get("labels") or {}
        build = service.get("build")
        yield f"service {name}, build,", (build.get("labels") or {}) if isinstance(build, Mapping) else {}
    for kind in ("networks", "volumes", "configs", "secrets"):
        for name, table in (rendered.get(kind) or {}).items():
            yield f"{kind[:-1]} {name}", (table or {}).get("labels") or {}


def _asked_by_service(service: Table, folder: str, project: str, around: Neighbourhood) -> Iterator[str]:
    yield from _asked_by_namespaces(service)
    yield from _asked_by_rights(service)
    yield from _asked_by_devices(service)
    yield from _asked_by_mounts(service, folder)
    yield from _asked_by_limits(service)
    yield from _asked_by_load(service)
    yield from foreign_names.container_name(str(service.get("container_name") or ""), project, around.known)
    yield from host_access.runtime_annotations(service.get("annotations") or {})
    yield from host_access.controller_labels(service.get("labels") or {})
    yield from host_access.controller_variables(service.get("environment") or {})
    logging = service.get("logging") or {}
    yield from log_options.log_driver(
        str(logging.get("driver") or ""),
        logging.get("options") or {},
        service.get("labels") or {},
        service.get("environment") or {},
    )
    for endpoint in networks_of(service).values():
        yield from host_access.network_options(endpoint.get("driver_opts") or {})


def _asked_by_counts(rendered: Table) -> Iterator[str]:
    tables = [
        (table, replicas_of(table), len(table.get("ports") or ()))
        for table in (rendered.get("services") or {}).values()
    ]
    yield from engine_load.counts_of(tables, len(rendered.get("volumes") or {}))


def _asked_by_load(service: Table) -> Iterator[str]:
    check: Table = service.get("healthcheck") or {}
    if not check.get("disable"):
        yield from engine_load.health_check(
            seconds(check.get("interval"), 0), seconds(check.get("start_interval"), 0)
        )
    yield from engine_load.size(service)


def _asked_by_namespaces(service: Table) -> Iterator[str]:
    for key in _NAMESPACES:
        value = str(service.get(key) or "")
        if not host_access.is_own_namespace(key, value) and not value.startswith("service:"):
            yield f"{key}:{value}"
    for name in service.get("volumes_from") or ():
        if str(name).startswith("container:"):
            yield f"volumes_from:{name}"


def _asked_by_rights(service: Table) -> Iterator[str]:
    yield from (key for key in _FLAGS if service.get(key))
    yield from (f"{key}:{service[key]}" for key in _NAMED if service.get(key) and service[key] != "runc")
    yield from host_access.capabilities(service.get("cap_add") or ())
    yield from host_access.security_options(service.get("security_opt") or ())
    hooks = [hook for key in ("post_start", "pre_stop") for hook in service.get(key) or ()]
    if any(hook.get("privileged") for hook in hooks):
        yield "privileged"


def _asked_by_devices(service: Table) -> Iterator[str]:
    for key in _LISTED:
        yield from (f"{key}:{entry}" for entry in service.get(key) or ())
    yield from (f"devices:{_device(entry)}" for entry in service.get("devices") or ())
    reserved = ((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
    if reserved.get("devices"):
        yield "gpus"


def _device(entry: object) -> str:
    """Returns a device's source. Compose prints `source:target:rights`, newer versions a table."""
    return str(entry.get("source", "")) if isinstance(entry, Mapping) else str(entry).partition(":")[0]


def _asked_by_limits(service: Table) -> Iterator[str]:
    yield from host_access.limits({k: _hard_limit(v) for k, v in (service.get("ulimits") or {}).items()})
    yield from host_access.kernel_settings(service.get("sysctls") or {})
    shared = memory.size_of(service.get("shm_size"))
    yield from memory.memory_file_systems(shared, _sizes_of_tmpfs(service))
    weight = (service.get("blkio_config") or {}).get("weight")
    yield from host_access.processor_shares(service.get("cpu_shares"), weight)
    if seconds(service.get("stop_grace_period"), 0) > host_access.MOST_GRACE:
        yield "stop_grace_period"
    if str(service.get("oom_score_adj") or "").startswith("-"):
        yield "oom_score_adj"
    if service.get("cpu_rt_runtime") or service.get("cpu_rt_period"):
        yield "cpu_rt"
    if any((service.get("blkio_config") or {}).get(key) for key in _THROTTLES):
        yield "blkio_config"
    if set(service.get("storage_opt") or {}) - {"size"}:
        yield "storage_opt"


def _sizes_of_tmpfs(service: Table) -> Iterator[int]:
    given = service.get("tmpfs") or ()
    for text in (given,) if isinstance(given, str) else given:
        yield memory.size_of_tmpfs(str(text).partition(":")[2])
    for mount in service.get("volumes") or ():
        yield memory.size_of((mount.get("tmpfs") or {}).get("size"))


def _hard_limit(limit: object) -> int:
    """Returns the hard limit of one number, or of `soft` and `hard`; a value that is not a number counts as
    unlimited.
    """
    value = limit.get("hard") if isinstance(limit, Mapping) else limit
    return int(value) if isinstance(value, int | str) and str(value).lstrip("-").isdigit() else -1


def _asked_by_mounts(service: Table, folder: str) -> Iterator[str]:
    for mount in service.get("volumes") or ():
        kind = str(mount.get("type"))
        if kind == "bind":
            source = str(mount.get("source") or "")
            if not (mount.get("read_only") and source in host_access.READABLE_BY_ALL):
                yield from _asked_by_path(source, folder)
            spread = str((mount.get("bind") or {}).get("propagation") or "")
            if spread not in ("", "private", "rprivate"):
                yield f"propagation:{spread}"
        elif kind not in _SAFE_MOUNTS:
            yield f"mount:{kind}"
        yield from host_access.volume_labels((mount.get("volume") or {}).get("labels") or {})


def _asked_by_path(path: str, folder: str) -> Iterator[str]:
    """Yields the grant of a path; the release's own files need none."""
    place, own = host_path(path), host_path(folder)
    if not folder or not (place == own or place.startswith(f"{own}/")):
        yield f"bind:{place}"


def _asked_by_volume(name: str, table: Table, project: str, around: Neighbourhood) -> Iterator[str]:
    """Yields a volume's grants. A volume of another project is another application's data."""
    if str(table.get("driver") or "local") != "local":
        yield f"driver:{table['driver']}"
    else:
        yield from host_access.volume_options(table.get("driver_opts") or {})
    called = str(table.get("name") or f"{project}_{name}")
    if table.get("external") or not around.owns(project, called):
        yield f"volume:{called}"


def _asked_by_network(name: str, table: Table, project: str, around: Neighbourhood) -> Iterator[str]:
    """Yields a network's grants. A network of another project reaches its services from inside."""
    driver = str(table.get("driver") or "bridge")
    if driver not in ("bridge", "none"):
        yield f"driver:{driver}"
    else:
        yield from host_access.network_options(table.get("driver_opts") or {})
    ipam = table.get("ipam") or {}
    if str(ipam.get("driver") or "default") != "default" or ipam.get("options"):
        yield f"ipam:{ipam.get('driver') or 'options'}"
    yield from host_access.subnets(ipam.get("config") or (), around.subnets)
    called = str(table.get("name") or f"{project}_{name}")
    if table.get("external") or not around.owns(project, called):
        yield f"network:{called}"
