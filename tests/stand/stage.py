"""Everything around a deploy, for real and on this machine: a repository, its runner, an OIDC issuer,
GitHub's API, a server.

The demo, the scenarios and the benchmarks share it. Only GitHub itself is stood in for; engine, registry,
action and receiver are the real ones. The server runs as its users start it: `webhook_server.py` in a process
of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployer.core.images import Image, parse_image, split_tag
from deployer.core.model import Bundle, Run
from deployer.core.request import DeployRequest, audience_of, encode_request
from tests.stand.forge import Forge
from tests.stand.issuer import Issuer
from tests.stand.runner import RunResult, run_action

ROOT = Path(__file__).resolve().parent.parent.parent
REPOSITORY, REPOSITORY_ID, OWNER_ID = "acme/shop", 4711, 815
CANARIES = {name: f"canary-{name}-5f3a9c71" for name in ("webhook", "variable", "github", "registry")}
SERVICES = ("backend", "frontend")
_START = 30.0
_WORKFLOW = ".github/workflows/deploy.yml"


def registry() -> str:
    """The loopback registry of `script/engine up`; its absence is a failure, not a reason to skip."""
    host = os.environ.get("DEPLOYER_TEST_REGISTRY", "")
    if not host:
        raise RuntimeError('no engine: run script/engine up, then eval "$(script/engine env)"')
    return host


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, condition: Callable[[], Any], deadline: float = 60.0) -> Any:
    """The condition's first true value; AssertionError when it does not come in time."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {deadline:.0f} s")


@dataclasses.dataclass(frozen=True)
class Published:
    """A release that is in the registry: its revision, and every service's image by digest."""

    revision: str
    images: Mapping[str, Image]


class Source:
    """The user's repository: a real git work tree made from the example application."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(
            ROOT / "examples" / "shop", folder, ignore=shutil.ignore_patterns("node_modules", "dist")
        )
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("Start the shop")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")

    def release(self, version: str) -> str:
        """A commit that changes the version both services show."""
        self.write("backend/version.txt", f"{version}\n")
        self.write("frontend/version.txt", f"{version}\n")
        return self.commit(f"Release {version}")


class Stage:
    """A context manager; `keep` leaves the server and its containers running."""

    def __init__(self, *, keep: bool = False, project: str = "") -> None:
        # Unix socket paths end at 107 bytes, and the engine must see this folder under the same path.
        self.folder = Path(tempfile.mkdtemp(prefix="dpl-", dir="/tmp"))
        self.keep = keep
        self.project = project or f"shop-{self.folder.name[4:].lower().replace('_', 'x')}"
        self.registry = registry()
        self.namespace = f"{self.registry}/{self.project}"
        self.port, self.web_port, self.api_port = free_port(), free_port(), free_port()
        self.source = Source(self.folder / "shop")
        self.runs = 0
        self.engine = ""  # another engine's address for the receiver
        self.server: subprocess.Popen[bytes] | None = None
        self.answers: list[bytes] = []  # every HTTP answer, for the search for secrets
        self.logs: list[str] = []  # every log and summary of the action
        self.secrets: list[str] = []  # people's tokens
        self.arguments: set[bytes] = set()  # of every process that ran meanwhile
        self._over = threading.Event()
        self.issuer = Issuer()
        self.forge = Forge({REPOSITORY: self.source.folder}, token=CANARIES["github"])

    # Places

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    # Life

    def __enter__(self) -> Self:
        self.issuer.start()
        self.forge.start()
        threading.Thread(target=self._watch_processes, daemon=True).start()
        self._configure()
        self.serve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self.keep and kind is None:
            return
        self.kill(signal.SIGTERM)
        remove_containers(self.project)
        self.forge.stop()
        self.issuer.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def serve(self) -> None:
        """Starts the receiver and waits until it answers."""
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, str(ROOT / "webhook_server.py")],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for("the receiver's answer", self._answers, _START)

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Ends the receiver and nothing else."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(sign)
            self.server.wait(timeout=60)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        kept |= {"DOCKER_HOST": self.engine} if self.engine else {}
        return kept | {"DEPLOYER_CONFIG": str(self.config), "PYTHONPATH": str(ROOT)}

    def reconfigure(self, old: str, new: str) -> None:
        """Changes the settings and restarts the receiver."""
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")
        self.kill(signal.SIGTERM)
        self.serve()

    def _watch_processes(self) -> None:
        while not self._over.wait(0.02):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.arguments.add(entry.read_bytes())

    def _answers(self) -> bool:
        if self.server and self.server.poll() is not None:
            raise AssertionError(f"the receiver ended at once:\n{self.log.read_text()[-2000:]}")
        return self.get("/health")[0] == 200

    def _configure(self) -> None:
        self.write_variables()
        for name in ("webhook", "github", "registry"):
            self._secret(name, CANARIES[name])
        self.config.write_text(
            f"""
[server]
url = "{self.url}"
listen = "127.0.0.1:{self.port}"
state = "{self.state}"

[oidc]
issuer = "{self.issuer.url}"

[registry]
host = "{self.registry}"

[github]
api = "{self.forge.url}"
token-file = "{self.folder}/github.secret"

[apps.shop]
repository = "{REPOSITORY}"
repository-id = {REPOSITORY_ID}
owner-id = {OWNER_ID}
images = ["{self.namespace}/shop-*"]
webhook-secret-files = ["{self.folder}/webhook.secret"]

[apps.shop.environments.production]
project = "{self.project}"
workflow = "{_WORKFLOW}"
variables-file = "{self.folder}/shop.env"
url = "{self.web}"
""",
            encoding="utf-8",
        )

    def write_variables(self, **more: str) -> None:
        """The server's variables of the environment."""
        variables = {
            "REGISTRY": self.namespace,
            "WEB_PORT": str(self.web_port),
            "API_PORT": str(self.api_port),
            "CORS_ORIGIN": CANARIES["variable"],
        } | more
        self._secret("shop.env", "".join(f"{name}={value}\n" for name, value in variables.items()), suffix="")

    def _secret(self, name: str, text: str, suffix: str = ".secret") -> None:
        path = self.folder / f"{name}{suffix}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

    # What users and GitHub do

    def act(
        self, event: str, branch: str, *, say: Callable[[str], None] | None = None, **variables: str
    ) -> RunResult:
        """One workflow run of the shipped action on the work tree as it is."""
        self.runs += 1
        sha = self.source.git("rev-parse", "HEAD")
        ref = f"refs/heads/{branch}" if event == "push" else "refs/pull/7/merge"
        self.issuer.claims = self.claims(event, ref, sha)
        env = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_ACTOR": "ada",
            "GITHUB_RUN_ID": str(1000 + self.runs),
            "GITHUB_RUN_NUMBER": str(self.runs),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_HEAD_REF": branch if event == "pull_request" else "",
            "REGISTRY": self.namespace,
            "WEB_PORT": "80",
            "API_PORT": "3001",
        }
        env |= self.issuer.environment() | variables
        result = run_action(
            action_dir=ROOT,
            workspace=self.source.folder,
            event_name=event,
            event=_event(event, branch, sha),
            ref=ref,
            sha=sha,
            inputs={"server": self.url, "registry": self.registry},
            env=env
            | {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ},
            temp=self.folder / f"runner-{self.runs}",
            token=CANARIES["registry"],
            say=say,
        )
        self.logs += [result.log, result.summary]
        return result

    def claims(self, event: str, ref: str, sha: str) -> dict[str, str]:
        """What GitHub would put into the token of this run; ids are text there."""
        return {
            "repository": REPOSITORY,
            "repository_id": str(REPOSITORY_ID),
            "repository_owner_id": str(OWNER_ID),
            "ref": ref,
            "sha": sha,
            "event_name": event,
            "actor": "ada",
            "workflow_ref": f"{REPOSITORY}/{_WORKFLOW}@{ref}",
            "run_id": str(1000 + self.runs),
            "run_number": str(self.runs),
            "run_attempt": "1",
        }

    def workflow_run(self, sha: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        """GitHub's webhook for a finished run of the workflow."""
        self.runs += 1
        run = {
            "id": 1000 + self.runs,
            "name": "Deploy",
            "path": _WORKFLOW,
            "event": "push",
            "head_branch": "main",
            "head_sha": sha,
            "status": "completed",
            "conclusion": "success",
            "run_number": self.runs,
            "run_attempt": 1,
            "head_repository": {"id": REPOSITORY_ID, "full_name": REPOSITORY},
            "actor": {"login": "ada"},
            "triggering_actor": {"login": "ada"},
        } | changes
        body = {
            "action": "completed",
            "workflow_run": run,
            "repository": {"id": REPOSITORY_ID, "full_name": REPOSITORY},
            "sender": {"login": "ada"},
        }
        return self.deliver("workflow_run", json.dumps(body).encode())

    def deliver(
        self, event: str, raw: bytes, secret: str = CANARIES["webhook"]
    ) -> tuple[int, dict[str, Any]]:
        signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        guid = f"{self.runs:08x}-0000-4000-8000-{time.time_ns() % 16**12:012x}"
        headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid,
            "X-Hub-Signature-256": f"sha256={signature}",
            "Content-Type": "application/json",
        }
        return self.call("POST", "/webhook", raw, headers)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The `deployer` command on the server."""
        return subprocess.run(
            [sys.executable, "-m", "deployer", *arguments],
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def token(self, can: str) -> str:
        """A person's token, made as people make it."""
        done = self.cli(
            "token", "create", "--app", "shop", "--can", can, "--name", f"ada-{can}-{time.time_ns()}"
        )
        assert done.returncode == 0, done.stderr
        self.secrets.append(done.stdout.split()[-1])
        return self.secrets[-1]

    def publish(self, version: str) -> Published:
        """Builds and pushes a release of the work tree without the action; returns its digests."""
        sha = self.source.release(version)
        files = ["-f", str(self.source.folder / "compose.yaml")]
        tags = [f"{self.namespace}/shop-{service}:sha-{sha}" for service in SERVICES]
        sets = [f"--set={service}.tags={tag}" for service, tag in zip(SERVICES, tags, strict=True)]
        docker("buildx", "bake", *files, "--load", *sets, cwd=self.source.folder)
        return Published(sha, {service: self._push(tag) for service, tag in zip(SERVICES, tags, strict=True)})

    def _push(self, tag: str) -> Image:
        docker("push", "--quiet", tag)
        repository = split_tag(tag)[0]
        digests: list[str] = json.loads(docker("inspect", "--format", "{{json .RepoDigests}}", tag))
        return next(image for image in map(parse_image, digests) if image.repository == repository)

    def forget(self, image: Image) -> None:
        """Deletes an image from the registry."""
        path = image.repository.partition("/")[2]
        url = f"http://{self.registry}/v2/{path}/manifests/{image.digest}"
        with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10) as answer:
            assert answer.status == 202

    def request(self, release: Published, **changes: Any) -> tuple[int, dict[str, Any]]:
        """The action's deploy request for a published release, with a token of this run."""
        self.runs += 1
        self.issuer.claims = self.claims("push", "refs/heads/main", release.revision)
        files = {"compose.yaml": self.source.git("show", f"{release.revision}:compose.yaml")}
        asked = DeployRequest(
            repository=REPOSITORY,
            app="",
            environment="production",
            revision=release.revision,
            run=Run(self.runs, 1),
            actor="ada",
            images=release.images,
            bundle=Bundle("compose.yaml", files),
            credentials=None,
        )
        body = encode_request(dataclasses.replace(asked, **changes))
        bearer = self.issuer.mint(audience_of(self.url, body))
        return self.call("POST", "/api/v1/deployments", body, {"Authorization": f"Bearer {bearer}"})

    def deploy(self, release: Published) -> dict[str, Any]:
        """Requests a deploy and waits for its end."""
        status, answer = self.request(release)
        assert status == 202, answer
        return self.finished(answer["id"], answer["read_token"])

    # Looking

    def get(self, path: str, token: str = "") -> tuple[int, dict[str, Any]]:
        return self.call("GET", path, None, {"Authorization": f"Bearer {token}"} if token else {})

    def post(
        self, path: str, token: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self.call("POST", path, json.dumps(body or {}).encode(), headers)

    def call(
        self, method: str, path: str, raw: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.url + path, raw, dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, self._note(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, self._note(error.read())
        except OSError:
            return 0, {}

    def _note(self, answer: bytes) -> dict[str, Any]:
        self.answers.append(answer)
        body: dict[str, Any] = json.loads(answer or b"{}")
        return body

    def finished(self, id: str, token: str, deadline: float = 90.0) -> dict[str, Any]:
        """The deployment once its status is final."""

        def final() -> dict[str, Any] | None:
            status, body = self.get(f"/api/v1/deployments/{id}", token)
            return body if status == 200 and body["status"] not in ("queued", "in_progress") else None

        ended: dict[str, Any] = wait_for(f"the end of deployment {id}", final, deadline)
        return ended

    def serves(self) -> str:
        """The version that the backend answers with, through the frontend, as a user sees it; empty while
        none does.
        """
        try:
            with urllib.request.urlopen(f"{self.web}/api/version", timeout=5) as answer:
                return str(json.loads(answer.read())["version"])
        except (OSError, ValueError, KeyError):
            return ""

    def containers(self) -> list[dict[str, Any]]:
        """Every container of the project, as `docker inspect` has it."""
        ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return found


def docker(*arguments: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """The command line of the real engine; a failure is the test's."""
    environment = dict(os.environ) | dict(extra or {})
    done = subprocess.run(
        ["docker", *arguments],
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout


def remove_containers(project: str) -> None:
    """Every container and network of one project, and nothing else."""
    label = f"label=com.docker.compose.project={project}"
    if names := docker("ps", "-aq", "--filter", label).split():
        docker("rm", "-fv", *names)
    for network in docker("network", "ls", "-q", "--filter", label).split():
        docker("network", "rm", network)


def _event(event: str, branch: str, sha: str) -> dict[str, Any]:
    repository = {
        "id": REPOSITORY_ID,
        "full_name": REPOSITORY,
        "default_branch": "main",
        "owner": {"id": OWNER_ID},
    }
    if event == "pull_request":
        side = {"sha": sha, "repo": {"id": REPOSITORY_ID, "full_name": REPOSITORY}}
        pull = {
            "number": 7,
            "merged": False,
            "head": {"ref": branch, **side},
            "base": {"ref": "main", **side},
        }
        return {"action": "synchronize", "number": 7, "pull_request": pull, "repository": repository}
    commit = {"id": sha, "message": f"commit {sha[:7]}"}
    return {
        "ref": f"refs/heads/{branch}",
        "before": "1" * 40,
        "after": sha,
        "created": False,
        "deleted": False,
        "head_commit": commit,
        "repository": repository,
    }
