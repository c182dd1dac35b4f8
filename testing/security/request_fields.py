"""Fields of requests to the engine that the independent judge knows: harmless ones, and those that it checks.
In: nothing. Out: their names, after https://docs.docker.com/reference/api/engine/version/v1.45/
"""

CONTAINER = (
    *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "Tty"),
    *("OpenStdin", "StdinOnce", "Env", "Cmd", "Healthcheck", "ArgsEscaped", "Image", "Volumes", "WorkingDir"),
    *(
        "Entrypoint",
        "NetworkDisabled",
        "MacAddress",
        "OnBuild",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "Shell",
    ),
    *("HostConfig", "NetworkingConfig"),
)
HOST = (
    *("CpuShares", "Memory", "CgroupParent", "BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps"),
    *("BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "CpuPeriod", "CpuQuota"),
    *("CpuRealtimePeriod", "CpuRealtimeRuntime", "CpusetCpus", "CpusetMems", "Devices", "DeviceCgroupRules"),
    *("DeviceRequests", "KernelMemory", "KernelMemoryTCP", "MemoryReservation", "MemorySwap", "NanoCpus"),
    *("MemorySwappiness", "OomKillDisable", "Init", "PidsLimit", "Ulimits", "Binds", "LogConfig"),
    *("NetworkMode", "PortBindings", "RestartPolicy", "VolumesFrom", "Mounts", "ConsoleSize", "Annotations"),
    *("CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd"),
    *("IpcMode", "Links", "OomScoreAdj", "PidMode", "Privileged", "ReadonlyRootfs", "SecurityOpt"),
    *("StorageOpt", "Tmpfs", "UTSMode", "UsernsMode", "ShmSize", "Sysctls", "Runtime", "MaskedPaths"),
    *("ReadonlyPaths", "Isolation", "CpuCount", "CpuPercent"),  # the last three are Windows' own
)
NETWORK = (
    *("Name", "CheckDuplicate", "Driver", "Scope", "Internal", "Attachable", "IPAM", "EnableIPv6"),
    *("EnableIPv4", "Options", "Labels"),
)
VOLUME = ("Name", "Driver", "DriverOpts", "Labels")
