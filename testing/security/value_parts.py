"""Parts of values in Compose files. In: nothing. Out: hypothesis strategies of numbers, sizes, paths, names,
addresses and subnets.

Numbers exceed every limit, paths and names are joined from parts, addresses are the host's own and others.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Values = st.SearchStrategy[Any]

PROJECT = "gen"
# Each name is a prefix of another, or has another as its prefix.
NEIGHBOURS = ("billing", "ge", "gen-x", "gen_x", "gen2", "bill")
RECEIVER_PORT = 9000
HOST_SUBNET = "10.9.8.0/24"  # addresses of the host's own network

NUMBERS = st.one_of(
    st.integers(0, 100), st.integers(0, 2**20), st.integers(-(2**10), 2**40), st.sampled_from([2**31, 2**62])
)
SIZES = st.one_of(
    st.builds(
        "{}{}".format, st.integers(1, 4096), st.sampled_from(["", "b", "k", "m", "g", "kb", "mb", "gb"])
    ),
    st.integers(0, 2**41),
)
TIMES = st.builds("{}{}".format, st.integers(0, 20_000), st.sampled_from(["ms", "s", "m", "h", "h3m2s"]))
PARTS = st.sampled_from(
    [
        "etc",
        "..",
        ".",
        "shadow",
        "var",
        "run",
        "docker.sock",
        "lib",
        "docker",
        "a.txt",
        "root",
        "proc",
        "1",
        "x",
    ]
)
PATHS = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(["/", "/", "./", "../", "../../", "~/", "//", "/var/run/", "/proc/self/root/", "/dev/"]),
    st.lists(PARTS, min_size=1, max_size=4),
)
INSIDE = st.sampled_from(["/x", "/a/b", "/etc/x", "/var/lib/x"])
NAMES = st.builds(
    "{}{}{}".format,
    st.sampled_from([PROJECT, PROJECT, *NEIGHBOURS, "plain", "deployer"]),
    st.sampled_from(["-", "_", "", ".", "-x-", "_x_"]),
    st.sampled_from(["default", "data", "db-1", "web-2", "x", "next"]),
)
WORDS = st.sampled_from(["a", "x", "true", "1", "{{.Name}}", "host"])
V4 = st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0)))
ADDRESSES = st.one_of(
    st.sampled_from(
        ["127.0.0.1", "0.0.0.0", "::", "::1", "[::1]", "::ffff:127.0.0.1", "10.9.8.7", "localhost"]
    ),
    st.sampled_from(["169.254.169.254", "fe80::1%eth0", "010.9.8.7", "0", "[::ffff:127.0.0.1]"]),
    V4,
)


def cased(names: list[str]) -> Values:
    """Draws a name, mostly in its own case."""
    return st.builds(
        lambda name, change: change(name),
        st.sampled_from(names),
        st.sampled_from([str, str, str, str.upper, str.title, str.swapcase]),
    )


def table(keys: Values, values: Values, least: int = 1) -> Values:
    return st.dictionaries(keys, values, min_size=least, max_size=2)


def one(values: Values) -> Values:
    return st.lists(values, min_size=1, max_size=2)


SUBNETS = st.one_of(
    st.builds("{}/{}".format, V4, st.integers(0, 32)),
    st.builds("172.{}.{}.0/{}".format, st.integers(0, 255), st.integers(0, 255), st.integers(8, 30)),
    st.builds("10.{}.{}.0/{}".format, st.integers(0, 255), st.integers(0, 255), st.integers(6, 30)),
    st.builds("192.{}.0.0/{}".format, st.integers(100, 200), st.integers(12, 28)),
    st.builds("{:x}:{:x}::/{}".format, st.integers(0xFC00, 0xFEFF), st.integers(0, 9), st.integers(7, 64)),
    st.just(HOST_SUBNET),
)
POOLS = st.one_of(
    st.fixed_dictionaries({"subnet": SUBNETS}),
    st.fixed_dictionaries({"subnet": SUBNETS, "ip_range": SUBNETS}),
    st.fixed_dictionaries({"subnet": SUBNETS, "gateway": V4}),
)
