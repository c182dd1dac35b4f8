"""TLS server in this process that gives every request the same answer. In: a folder, a name, the answer. Out:
its port, its authority's certificate.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testing.certificates import Authority


@dataclass(frozen=True)
class TlsServer:
    """Running server; clients that trust `root` accept its certificate."""

    port: int
    root: Path
    context: ssl.SSLContext


@contextmanager
def answering_over_tls(folder: Path, name: str, answer: bytes) -> Iterator[TlsServer]:
    """Serves one connection after the other until the block ends. `name`: the certificate's DNS name."""
    authority = Authority(folder / "authority")
    (folder / "pair.pem").write_text("".join(authority.issue(name)), encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as client:
                    while client.recv(65_536):
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield TlsServer(listener.getsockname()[1], authority.root, context)
        listener.shutdown(socket.SHUT_RDWR)
