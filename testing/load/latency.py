"""Latency at a number of busy connections. In: port, seconds. Out: the median of all answers, ms.

Runs in its own process, with plain sockets, one thread each, kept alive.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

_CONNECTIONS = 8
_ROOT = Path(__file__).resolve().parents[2]


def latency_ms(port: int, seconds: float = 2.0) -> float:
    """Measures eight connections to this machine's port, one request after the other on each."""
    argv = [sys.executable, "-m", "testing.load.latency", str(port), str(seconds)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=_ROOT, timeout=60)
    return float(json.loads(done.stdout))


def _ask(port: int, until: float, times: list[float]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        while time.monotonic() < until:
            begun = time.monotonic()
            connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            got = b""
            while b"\r\n\r\nversion" not in got:
                got += connection.recv(4096)
            times.append(time.monotonic() - begun)


def _main(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    times: list[float] = []
    threads = [threading.Thread(target=_ask, args=(port, until, times)) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(statistics.median(times) * 1000))


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]))
