"""One image with the parts of public Compose files: Debian's PostgreSQL, Redis and nginx, and a small program
that uses them. In: a folder, a name. Out: the image, pushed.

The official images are not available on every test machine; Debian's packages on the Python image are.
"""

from __future__ import annotations

from pathlib import Path

from deployer.core.images import Image
from testing.docker.docker_cli import docker
from testing.user_repository import push

_DOCKERFILE = """\
FROM python:3.13-slim
RUN apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
       postgresql redis-server nginx-light \\
    && rm -rf /var/lib/apt/lists/* \\
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
COPY --chmod=755 database app /usr/local/bin/
LABEL version={version}
"""
# Like the official image: a data directory is made once, and the server does not run as root.
_DATABASE = """\
#!/bin/sh
set -eu
data=/var/lib/postgresql/data
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
mkdir -p "$data" /run/postgresql
chown -R postgres:postgres "$data" /run/postgresql
if [ ! -s "$data/PG_VERSION" ]; then
    word=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:-/dev/null}")}
    printf %s "$word" >/tmp/word && chown postgres /tmp/word
    as_postgres initdb -D "$data" --username=shop --auth=scram-sha-256 --pwfile=/tmp/word >/dev/null
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    rm /tmp/word
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D "$data" -c listen_addresses='*'
"""
_APP = """\
#!/usr/bin/env python3
import json, os, pathlib, signal, socket, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def sql(text):
    word = os.environ.get("DB_PASSWORD") or pathlib.Path("/run/secrets/db-password").read_text().strip()
    argv = ["psql", "-h", "db", "-U", "shop", "-d", "postgres", "-qAtc", text]
    env = os.environ | {"PGPASSWORD": word}
    return subprocess.run(argv, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def redis(*words):
    with socket.create_connection(("events", 6379), 5) as link:
        link.sendall(" ".join(words).encode() + b"\\r\\n")
        return link.recv(4096).decode().strip().lstrip(":+")


def state():
    found = {"mark": os.environ.get("MARK", ""), "rows": sql("select count(*) from marks")}
    data = pathlib.Path("/data/starts")
    if data.exists():
        found["starts"] = data.read_text()
    if os.environ.get("EVENTS"):
        found["events"] = redis("GET", "work")
    return found


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        try:
            text = json.dumps(state()) if self.path == "/state" else os.environ.get("MARK", "")
            body, status = text.encode(), 200
        except Exception as error:
            body, status = str(error).encode(), 500
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def migrate():
    sql("create table if not exists marks (mark text)")
    sql("insert into marks values ('%s')" % os.environ.get("MARK", ""))


def web():
    if os.path.isdir("/data"):
        with open("/data/starts", "a") as starts:
            starts.write("x")
    server = ThreadingHTTPServer(("", 8000), Answer)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


def worker():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        redis("INCR", "work")
        time.sleep(0.2)


{"migrate": migrate, "web": web, "worker": worker}[sys.argv[1]]()
"""


def build_stack(folder: Path, name: str, version: str) -> Image:
    """Builds the image. All versions share their layers; the first build on a machine takes a minute."""
    folder.mkdir(exist_ok=True)
    for file, text in (("database", _DATABASE), ("app", _APP), ("Dockerfile", _DOCKERFILE)):
        (folder / file).write_text(text.replace("{version}", version), encoding="utf-8")
    docker("build", "--quiet", "--tag", name, str(folder))
    return push(name)
