"""Values of Compose's options that decide about powers, drawn by the option's type. In: parts of values. Out:
hypothesis strategies, by key.

Options are all that each driver knows, keys also in other cases. Compose refuses the values that it cannot
use.
"""

from __future__ import annotations

from hypothesis import strategies as st

from testing.security.value_parts import (
    ADDRESSES,
    INSIDE,
    NAMES,
    NUMBERS,
    PATHS,
    POOLS,
    RECEIVER_PORT,
    SIZES,
    TIMES,
    WORDS,
    Values,
    cased,
    one,
    table,
)

_SPACES = st.one_of(
    st.sampled_from(
        ["host", "private", "shareable", "none", "bridge", "default", "service:db", "HOST", "ns:/x"]
    ),
    st.builds("container:{}".format, NAMES),
)
_CAPABILITIES = cased(
    [
        *("ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE"),
        *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL"),
        *("LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE"),
        *("NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG"),
        *("SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE"),
        *(
            "SYS_RAWIO",
            "SYS_RESOURCE",
            "SYS_TIME",
            "SYS_TTY_CONFIG",
            "WAKE_ALARM",
            "CAP_SYS_ADMIN",
            "cap_bpf",
        ),
    ]
)
_DRIVERS = cased(
    [
        *("json-file", "json-file", "local", "none", "syslog", "journald", "gelf", "fluentd", "awslogs"),
        *("splunk", "etwlogs", "gcplogs", "logentries", "acme/plugin:1"),
    ]
)
_LOG_VALUES: dict[str, Values] = {
    "max-size": SIZES.map(str),
    "max-file": st.integers(0, 100_000).map(str),
    "max-buffer-size": SIZES.map(str),
    "mode": st.sampled_from(["blocking", "non-blocking"]),
    "compress": st.sampled_from(["true", "false"]),
    "labels": WORDS,
    "env-regex": st.sampled_from([".*", "(a+)+$"]),
    "tag": st.sampled_from(
        ["{{.Name}}", "x{{ .ID }}", '{{pad "x" 9 0}}', "{{.ExtraAttributes nil}}", "{{printf `%9999s` .ID}}"]
    ),
    "cache-disabled": st.just("true"),
    "cache-max-file": st.integers(0, 10_000).map(str),
}
_LOG_ADDRESSES = st.builds(
    "{}://{}:{}".format, st.sampled_from(["tcp", "udp", "unix"]), ADDRESSES, st.integers(1, 2**16)
)
_LOG_OPTIONS = st.one_of(
    *(st.fixed_dictionaries({key: values}) for key, values in _LOG_VALUES.items()),
    table(
        cased(["syslog-address", "gelf-address", "fluentd-address", "splunk-url", "awslogs-endpoint", "dns"]),
        _LOG_ADDRESSES,
    ),
)
_SYSCTLS = cased(
    [
        *(
            "net.core.somaxconn",
            "net.ipv4.ip_forward",
            "fs.mqueue.msg_max",
            "fs.file-max",
            "fs.suid_dumpable",
        ),
        *("kernel.shmmax", "kernel.sem", "kernel.msgmax", "kernel.core_pattern", "kernel.modprobe"),
        *(
            "kernel.randomize_va_space",
            "vm.overcommit_memory",
            "vm.max_map_count",
            "user.max_user_namespaces",
        ),
        *("abi.vsyscall32", "debug.exception-trace", "dev.tty.ldisc_autoload", "kernel.yama.ptrace_scope"),
    ]
)
_LABELS = st.builds(
    "{}{}".format,
    cased(
        [
            *(
                "deployer.",
                "traefik.",
                "caddy",
                "ofelia.",
                "com.centurylinklabs.watchtower.",
                "deployer.image.",
            ),
            *("autoheal", "diun.", "swag", "com.docker.compose.project", "com.example.", "sablier.", "wud."),
        ]
    ),
    st.sampled_from(["enable", "x", "job-run.x.command", "http.routers.x.rule", ""]),
)
_PORTS = st.one_of(
    st.builds("{}:{}".format, st.integers(1, 70_000), st.integers(1, 65_535)),
    st.builds("{}:{}:{}".format, ADDRESSES, st.integers(1, 65_535), st.integers(1, 65_535)),
    st.builds("{}:80".format, st.just(RECEIVER_PORT)),
    st.builds("{0}-{1}:80".format, st.integers(8_000, 9_000), st.integers(9_000, 10_100)),
    st.fixed_dictionaries({"target": st.just(80), "host_ip": ADDRESSES, "published": st.just("8081")}),
)
_MOUNTS = st.one_of(
    st.builds(
        "{}:{}{}".format, PATHS, INSIDE, st.sampled_from(["", ":ro", ":rw", ":rshared", ":ro,rslave", ":z"])
    ),
    st.builds("{}:{}".format, st.sampled_from(["data", "vol"]), INSIDE),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["bind", "volume", "tmpfs", "npipe", "cluster", "image"]),
            "source": st.one_of(PATHS, NAMES, st.just("data")),
            "target": INSIDE,
            "read_only": st.booleans(),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("bind"),
            "source": st.one_of(PATHS, st.just("./a.txt")),
            "target": INSIDE,
            "bind": st.fixed_dictionaries(
                {
                    "propagation": st.sampled_from(
                        ["shared", "rshared", "slave", "rslave", "private", "rprivate"]
                    )
                }
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("tmpfs"),
            "target": INSIDE,
            "tmpfs": st.fixed_dictionaries({"size": st.integers(0, 2**41)}),
        }
    ),
)
_RATES = one(st.fixed_dictionaries({"path": st.just("/dev/null"), "rate": st.integers(1, 2**30)}))
SERVICE: dict[str, Values] = {
    "annotations": table(cased(["run.oci.hooks", "io.kata.x", "a"]), WORDS),
    "blkio_config": st.one_of(
        st.fixed_dictionaries({"weight": st.integers(10, 1000)}),
        *(st.fixed_dictionaries({f"device_{way}_bps": _RATES}) for way in ("read", "write")),
    ),
    "cap_add": one(_CAPABILITIES),
    "cgroup": _SPACES,
    "cgroup_parent": st.one_of(PATHS, NAMES),
    "container_name": NAMES,
    "cpu_rt_runtime": NUMBERS,
    "cpu_shares": st.integers(0, 2**19),
    "device_cgroup_rules": one(
        st.builds(
            "{} {}:{} {}".format,
            st.sampled_from("abc"),
            st.integers(0, 300),
            st.integers(0, 9),
            st.just("rwm"),
        )
    ),
    "devices": one(st.builds("{}:/dev/x".format, PATHS)),
    "environment": table(cased(["VIRTUAL_HOST", "LETSENCRYPT_HOST", "ACME_HOST", "A", "PATH"]), WORDS),
    "env_file": PATHS,
    "external_links": one(st.builds("{}{}".format, NAMES, st.sampled_from(["", ":db"]))),
    "group_add": one(st.integers(0, 2**31).map(str)),
    "ipc": _SPACES,
    "labels": table(_LABELS, WORDS),
    "logging": st.fixed_dictionaries({}, optional={"driver": _DRIVERS, "options": _LOG_OPTIONS}),
    "network_mode": st.one_of(_SPACES, NAMES),
    "networks": st.fixed_dictionaries(
        {
            "net": st.fixed_dictionaries(
                {},
                optional={
                    "aliases": one(NAMES),
                    "driver_opts": table(cased(["com.docker.network.endpoint.sysctls", "x"]), WORDS),
                    "priority": st.integers(0, 9),
                },
            )
        }
    ),
    "oom_score_adj": st.integers(-1000, 1000),
    "pid": _SPACES,
    "ports": one(_PORTS),
    "runtime": cased(["runc", "runsc", "kata", "nvidia", "io.containerd.runc.v2"]),
    "security_opt": one(
        st.builds(
            "{}{}{}".format,
            cased(["apparmor", "seccomp", "label", "no-new-privileges", "systempaths", "writable-cgroups"]),
            st.sampled_from(["=", ":"]),
            st.sampled_from(["unconfined", "true", "false", "disable", "docker-default", "user:x"]),
        )
    ),
    "shm_size": SIZES,
    "stop_grace_period": TIMES,
    "storage_opt": table(cased(["size", "dm.basesize", "overlay2.size"]), SIZES.map(str)),
    "sysctls": table(_SYSCTLS, st.integers(0, 2**31)),
    "tmpfs": one(
        st.builds(
            "{}{}".format, INSIDE, st.one_of(st.just(""), SIZES.map(":size={}".format), st.just(":exec"))
        )
    ),
    "ulimits": table(
        st.sampled_from(
            ["memlock", "nofile", "nproc", "rtprio", "rttime", "nice", "core", "msgqueue", "stack"]
        ),
        st.one_of(
            st.integers(-1, 2**40),
            st.integers(1, 2**40).map(lambda n: {"soft": 1, "hard": n}),
        ),
    ),
    "userns_mode": _SPACES,
    "uts": _SPACES,
    "volumes": one(_MOUNTS),
    "volumes_from": one(st.one_of(st.just("db"), st.builds("container:{}".format, NAMES))),
}
NETWORK: dict[str, Values] = {
    "driver": cased(["bridge", "host", "none", "macvlan", "ipvlan", "overlay", "acme/net:1"]),
    "driver_opts": table(
        cased(
            [
                *(
                    f"com.docker.network.bridge.{name}"
                    for name in ("name", "host_binding_ipv4", "inhibit_ipv4")
                ),
                *(
                    f"com.docker.network.bridge.{name}"
                    for name in ("enable_icc", "gateway_mode_ipv4", "trusted")
                ),
                *("com.docker.network.driver.mtu", "com.docker.network.host_ipv4", "parent", "ipvlan_mode"),
            ]
        ),
        st.one_of(WORDS, ADDRESSES),
    ),
    "ipam": st.one_of(
        st.fixed_dictionaries({"config": one(POOLS)}),
        st.fixed_dictionaries({"driver": cased(["default", "dhcp", "null", "infoblox"])}),
    ),
    "name": NAMES,
    "labels": table(_LABELS, WORDS),
}
VOLUME: dict[str, Values] = {
    "driver": cased(["local", "rclone", "nfs", "vieux/sshfs", "acme/vol:1"]),
    "driver_opts": st.fixed_dictionaries(
        {},
        optional={
            "type": cased(
                ["tmpfs", "none", "nfs", "cifs", "ext4", "overlay", "proc", "sysfs", "9p", "ramfs"]
            ),
            "device": st.one_of(PATHS, st.sampled_from(["tmpfs", "none", "etc", ":/x", "overlay", ""])),
            "o": st.lists(
                st.one_of(
                    st.sampled_from(
                        ["bind", "rbind", "BIND", " bind", "ro", "lowerdir=/", "remount", "uid=0"]
                    ),
                    SIZES.map("size={}".format),
                ),
                min_size=1,
                max_size=2,
            ).map(",".join),
        },
    ),
    "name": NAMES,
    "labels": table(_LABELS, WORDS),
}
FILE: dict[str, Values] = {"file": PATHS, "labels": table(_LABELS, WORDS)}
DRAWN = {"service": SERVICE, "network": NETWORK, "volume": VOLUME, "config": FILE, "secret": FILE}
