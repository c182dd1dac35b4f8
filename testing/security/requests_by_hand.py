"""Requests that today's Compose never sends, made from one that it sends. In: a case. Out: cases that differ
in one field each, which would give a power without judgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from testing.security.compose_bench import Case

_PROJECT = "com.docker.compose.project"
Body = dict[str, Any]
BODIES: list[Body] = [
    {"New": [1]},
    {"HostConfig": {"NewThing": {"Enabled": True}}},
    {"HostConfig": {"VolumeDriver": "rclone"}},
    {"HostConfig": {"PublishAllPorts": True}},
    {"HostConfig": {"ContainerIDFile": "/etc/x"}},
    {"HostConfig": {"Binds": ["/etc:/x:ro"]}},
    {"HostConfig": {"Binds": ["billing_data:/x"]}},
    {"HostConfig": {"VolumesFrom": ["billing-db-1"]}},
    {"HostConfig": {"Links": ["billing-db-1:db"]}},
    {"HostConfig": {"MaskedPaths": []}},
    {"HostConfig": {"OomKillDisable": True}},
    {"HostConfig": {"BlkioDeviceReadBps": [{"Path": "/dev/vda", "Rate": 1}]}},
    {"HostConfig": {"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/x"}]}},
    {"NetworkingConfig": {"EndpointsConfig": {"billing_default": {}}}},
    {"NetworkingConfig": {"EndpointsConfig": {"gen_own": {"DriverOpts": {"x": "y"}}}}},
    {"Labels": {"deployer.new": "x"}},
    {"Labels": {_PROJECT: "billing"}},
    {"StopTimeout": 31_536_000},
    {"Healthcheck": {"New": 1}},
    {"NetworkingConfig": {"EndpointsConfig": {"gen_x_default": {}}}},
    *(
        {"HostConfig": change}
        for change in (
            {"RestartPolicy": {"New": 1}},
            {"LogConfig": {"Type": "", "Config": {}, "New": 1}},
            {"LogConfig": {"Type": "json-file", "Config": {"max-file": "100000"}}},
            {"LogConfig": {"Type": "local", "Config": {"cache-max-file": "100000"}}},
            {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1, "New": 1}]},
            {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080", "New": 1}]}},
            {"PortBindings": {"80/tcp": [{"HostIp": "[::1]", "HostPort": "8080"}]}},
            {"PortBindings": {"80/tcp": [{"HostIp": "::ffff:127.0.0.1", "HostPort": "9000"}]}},
            {"PortBindings": {"80/tcp": [{"HostIp": "localhost", "HostPort": "8080"}]}},
            {"PortBindings": {f"{port}/tcp": [{"HostPort": str(port)}] for port in range(1, 1_102)}},
            {"Tmpfs": {"/x": "size=100g"}},
            {"Tmpfs": {"/x": "size=90%"}},
            {"Mounts": [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 2**40}}]},
            {"Binds": ["gen_x_data:/x"]},
            {
                "Mounts": [
                    {"Type": "volume", "Target": "/x", "VolumeOptions": {"Labels": {"deployer.x": "y"}}}
                ]
            },
        )
    ),
]
NETWORKS: list[Body] = [
    {"Name": "gen_x_default"},
    {"IPAM": {"Config": [{"Subnet": "172.28.0.0/24"}], "New": 1}},
    {"IPAM": {"Config": [{"Subnet": "172.28.0.0/24", "New": 1}]}},
    {"Scope": "swarm"},
    {"Ingress": True},
    {"ConfigFrom": {"Network": "x"}},
    {"Labels": {_PROJECT: "billing"}},
    {"Labels": {"deployer.x": "y"}},
    {"IPAM": {"Config": [{"Subnet": "172.28.0.0/24", "IPRange": "8.8.8.0/24"}]}},
]
VOLUMES: list[Body] = [
    {"Name": "gen_x_data"},
    {"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=100g"}},
    {"ClusterVolumeSpec": {"Group": "x"}},
    {"Labels": {_PROJECT: "billing"}},
    {"Labels": {"deployer.x": "y"}},
]
ARCHIVES = ("path=%2F&follow=1", "path=%2F&copyUIDGID=1&new")


def by_hand(case: Case) -> Iterator[Case]:
    """Yields the cases. `case`: a file whose requests give no power."""
    first = case.containers[0]
    for change in BODIES:
        yield _with(case, _merged(dict(first.body), change))
    for kind, changes in (("networks", NETWORKS), ("volumes", VOLUMES)):
        for change in changes:
            calls = ((kind, {"Name": "gen_own", **change}),)
            yield replace(case, text=f"{kind}: {change}", calls=calls, by_hand=True)
    for query in ARCHIVES:
        changed = replace(first, archives=((query, b""),))
        yield replace(case, text=f"archive: {query}", containers=(changed,), by_hand=True)


def _with(case: Case, body: Body) -> Case:
    return replace(case, text=str(body), containers=(replace(case.containers[0], body=body),), by_hand=True)


def _merged(body: Body, change: Body) -> Body:
    tables = {
        key: {**(body.get(key) or {}), **value} for key, value in change.items() if isinstance(value, dict)
    }
    return {**body, **change, **tables}
