from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.health_check import HttpProbe, find_probe
from deployer.core.http.response_status import MOST_READ, status_of


@pytest.mark.parametrize(
    ("test", "probe"),
    [
        (["CMD", "curl", "-f", "http://localhost:3001/health"], HttpProbe(3001, "/health")),
        (["CMD", "wget", "-qO-", "http://127.0.0.1:3001/health"], HttpProbe(3001, "/health", "127.0.0.1")),
        (["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1"], HttpProbe(80, "/", "127.0.0.1")),
        (
            ["CMD", "/usr/bin/curl", "-fsS", "-o", "/dev/null", "--max-time", "3", "localhost:8080/up"],
            HttpProbe(8080, "/up"),
        ),
        (
            ["CMD-SHELL", "wget --spider --tries=1 http://127.0.0.1/ || exit 1"],
            HttpProbe(80, "/", "127.0.0.1"),
        ),
        ("curl --fail 'http://0.0.0.0:8080/up?deep=1'", None),
        ("curl --fail http://0.0.0.0:8080/up", HttpProbe(8080, "/up", "0.0.0.0")),
        (["CMD", "curl", "http://[::1]:3001/x"], HttpProbe(3001, "/x", "[::1]")),
    ],
)
def test_a_plain_request_is_taken_over(test: Any, probe: HttpProbe | None) -> None:
    assert find_probe(test) == probe


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://localhost:8000/up", "localhost:8000"),
        ("localhost", "localhost"),
        ("http://127.0.0.1:80/", "127.0.0.1"),
        ("http://[::1]:3001/x", "[::1]:3001"),
    ],
)
def test_edge_e3_the_gate_names_the_host_that_the_check_names(url: str, told: str) -> None:
    probe = find_probe(["CMD", "curl", "-f", url])
    assert probe and probe.authority == told


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


@pytest.mark.parametrize(
    "url", ["http://localhost:99999/", "http://localhost/größe", "http://localhost/a\u2028b"]
)
def test_what_cannot_be_asked_is_left_to_docker(url: str) -> None:
    assert find_probe(["CMD", "curl", "-f", url]) is None


@pytest.mark.parametrize(
    ("got", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.1 200\n\n", 200),
        (b"HTTP/1.0\t204\r\n", 204),
        (b"HTTP/2 503 x\r\n", 503),
        (b"HTTP/1.1 200 O", None),
        (b"", None),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 500 no\r\n", 500),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\n\nHTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n", None),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", None),
        (b"HTTP/1.1 000 x\r\n", 0),
        (b"HTTP/1.1 2000 x\r\n", 0),
        (b"HTTP/....9.9. 200 OK\r\n", 0),
        (b"SSH-2.0-OpenSSH\r\n", 0),
        (b"x" * MOST_READ, 0),
    ],
)
def test_the_final_status_of_an_answer(got: bytes, status: int | None) -> None:
    assert status_of(got) == status


@pytest.mark.parametrize(
    ("got", "status"),
    [(b"HTTP/1.1 200", 200), (b"", 0), (b"HTTP/1.1 103 x\r\n\r\n", 0), (b"HTTP/1.1 503 x\r\n", 503)],
)
def test_an_answer_that_ended(got: bytes, status: int) -> None:
    assert status_of(got, whole=True) == status
