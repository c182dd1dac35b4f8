from __future__ import annotations

from typing import Any

import pytest

from deployer.core.probe import HttpProbe, find_probe


@pytest.mark.parametrize(
    ("test", "probe"),
    [
        (["CMD", "curl", "-f", "http://localhost:3001/health"], HttpProbe(3001, "/health")),
        (["CMD", "wget", "-qO-", "http://127.0.0.1:3001/health"], HttpProbe(3001, "/health")),
        (["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1"], HttpProbe(80, "/")),
        (
            ["CMD", "/usr/bin/curl", "-fsS", "-o", "/dev/null", "--max-time", "3", "localhost:8080/up"],
            HttpProbe(8080, "/up"),
        ),
        (["CMD-SHELL", "wget --spider --tries=1 http://127.0.0.1/ || exit 1"], HttpProbe(80, "/")),
        ("curl --fail 'http://0.0.0.0:8080/up?deep=1'", None),
        ("curl --fail http://0.0.0.0:8080/up", HttpProbe(8080, "/up")),
        (["CMD", "curl", "http://[::1]:3001/x"], HttpProbe(3001, "/x")),
    ],
)
def test_a_plain_request_is_taken_over(test: Any, probe: HttpProbe | None) -> None:
    assert find_probe(test) == probe


@pytest.mark.parametrize(
    "test",
    [
        "wget -qO- http://127.0.0.1:3001/health | grep -q database-is-connected",
        "! curl -f http://127.0.0.1/maintenance",
        "curl -f http://127.0.0.1/a && curl -f http://127.0.0.1/b",
        "curl -f http://127.0.0.1/a || true",
        "curl -f $URL",
        "curl -f http://127.0.0.1/a > /dev/null",
        "curl -f 'http://127.0.0.1/a",
        ["CMD", "curl", "-X", "POST", "http://127.0.0.1/"],
        ["CMD", "curl", "-H", "Host: x", "http://127.0.0.1/"],
        ["CMD", "curl", "-L", "http://127.0.0.1/"],
        ["CMD", "curl", "http://127.0.0.1/a", "http://127.0.0.1/b"],
        ["CMD", "curl", "https://127.0.0.1/"],
        ["CMD", "curl", "http://database:3001/x"],
        ["CMD", "curl", "http://127.0.0.1:3001@evil/x"],
        ["CMD", "curl"],
        ["CMD", "node", "-e", "fetch('http://localhost:3001/health')"],
        ["CMD", "pg_isready"],
        ["CMD-SHELL", "curl http://127.0.0.1/", "x"],
        ["CMD"],
        [],
        {"a": 1},
    ],
)
def test_where_the_command_decides_by_more_its_own_word_is_waited_for(test: Any) -> None:
    assert find_probe(test) is None
