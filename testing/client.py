"""Calls of GitHub, of the action's runner and of people to one receiver. In: a commit, a release, arguments.
Out: the receiver's answers.

The client keeps every answer, log, output and secret, for the search for secrets.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.core.model import Bundle, Run
from deployer.core.requests.deploy_request import DeployRequest, audience_of, encode_request
from testing.docker.docker_cli import ROOT, free_port, registry, wait_for
from testing.github.action_runner import RunResult, run_action
from testing.github.events import OWNER_ID, REPOSITORY, REPOSITORY_ID, occasion
from testing.github.oidc_issuer import Issuer
from testing.user_repository import Published, Source

CANARIES = {name: f"canary-{name}-5f3a9c71" for name in ("webhook", "variable", "github", "registry")}
WORKFLOW = ".github/workflows/deploy.yml"


@dataclass(frozen=True)
class Answered:
    """One HTTP answer of the receiver."""

    method: str
    path: str
    body: bytes


class Calls:
    """Client of one stage's receiver; the stage knows how and where the receiver runs."""

    def __init__(self, folder: Path, project: str) -> None:
        self.folder = folder
        self.registry = registry()
        self.namespace = f"{self.registry}/{project}"
        self.port = free_port()
        self.source = Source(folder / "shop")
        self.issuer = Issuer()
        self.runs = 0
        self.runner: Callable[..., RunResult] = run_action
        self.inputs: dict[str, str] = {}  # inputs of the action, beside server and registry
        self.site = "https://github.com"
        self.one_step = False  # the workflow has no actions/checkout: the action starts in an empty folder
        self.engine = ""  # another engine's address for the receiver
        self.answers: list[Answered] = []
        self.logs: list[str] = []  # every log, summary and output of the action
        self.printed: list[str] = []  # output of the command on the server
        self.secrets: list[str] = []  # people's tokens

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Returns the environment of the receiver and of the command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        kept |= {"DOCKER_HOST": self.engine} if self.engine else {}
        return kept | {"DEPLOYER_CONFIG": str(self.folder / "config.toml"), "PYTHONPATH": str(ROOT)}

    def act(
        self,
        kind: str,
        name: str,
        *,
        say: Callable[[str], None] | None = None,
        **variables: str,
    ) -> RunResult:
        """Runs the shipped action once on the work tree as it is; `kind` as in `events`."""
        self.runs += 1
        sha = self.source.git("rev-parse", "HEAD")
        why = occasion(kind, name, sha)
        self.issuer.claims = self.claims(why.event, why.ref, sha)
        env = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_ACTOR": "ada",
            "GITHUB_RUN_ID": str(1000 + self.runs),
            "GITHUB_RUN_NUMBER": str(self.runs),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": self.site,
            "GITHUB_HEAD_REF": name if why.event == "pull_request" else "",
            "REGISTRY": self.namespace,
            "WEB_PORT": "80",
            "API_PORT": "3001",
        }
        identity = {} if kind == "fork" else self.issuer.environment()
        env |= identity | variables
        result = self.runner(
            action_dir=ROOT,
            workspace=self._workspace(),
            event_name=why.event,
            event=why.payload,
            ref=why.ref,
            sha=sha,
            inputs={"server": self.url, "registry": self.registry} | self.inputs,
            env=env
            | {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ},
            temp=self.folder / f"runner-{self.runs}",
            token=CANARIES["registry"],
            say=say,
        )
        self.logs += [result.log, result.summary, json.dumps(dict(result.outputs))]
        return result

    def _workspace(self) -> Path:
        """Returns the checkout that a step before the action made, or an empty folder. act gives every job an
        empty folder and reads the commit from this one.
        """
        if not self.one_step or self.runner is not run_action:
            return self.source.folder
        empty = self.folder / f"workspace-{self.runs}"
        empty.mkdir()
        return empty

    def claims(self, event: str, ref: str, sha: str) -> dict[str, str]:
        """Returns the claims that GitHub puts into this run's token; ids are text there."""
        return {
            "base_ref": "main" if event == "pull_request" else "",
            "repository": REPOSITORY,
            "repository_id": str(REPOSITORY_ID),
            "repository_owner_id": str(OWNER_ID),
            "ref": ref,
            "sha": sha,
            "event_name": event,
            "actor": "ada",
            "workflow_ref": f"{REPOSITORY}/{WORKFLOW}@{ref}",
            "run_id": str(1000 + self.runs),
            "run_number": str(self.runs),
            "run_attempt": "1",
        }

    def workflow_run(self, sha: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        """Sends GitHub's webhook for a finished run of the workflow."""
        self.runs += 1
        run = {
            "id": 1000 + self.runs,
            "name": "Deploy",
            "path": WORKFLOW,
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
        """Runs the `deployer` command on the server."""
        done = self._run_cli(arguments)
        self.printed += [done.stdout, done.stderr]
        return done

    def _run_cli(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deployer", *arguments],
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def token(self, can: str) -> str:
        """Creates a person's token with the command. Its output is not kept, as it is the only one that may
        show the token.
        """
        name = f"ada-{can}-{time.time_ns()}"
        done = self._run_cli(["token", "create", "--app", "shop", "--can", can, "--name", name])
        assert done.returncode == 0, done.stderr
        self.printed.append(done.stderr)
        self.secrets.append(done.stdout.split()[-1])
        return self.secrets[-1]

    def request(self, release: Published, **changes: Any) -> tuple[int, dict[str, Any]]:
        """Sends the action's deploy request for a published release, with a token of this run."""
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
                return answer.status, self._note(method, path, answer.read())
        except urllib.error.HTTPError as error:
            return error.code, self._note(method, path, error.read())
        except OSError:
            return 0, {}

    def _note(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        self.answers.append(Answered(method, path, body))
        table: dict[str, Any] = json.loads(body or b"{}")
        return table

    def finished(self, id: str, token: str, deadline: float = 90.0) -> dict[str, Any]:
        """Returns the deployment once its status is final."""

        def final() -> dict[str, Any] | None:
            status, body = self.get(f"/api/v1/deployments/{id}", token)
            return body if status == 200 and body["status"] not in ("queued", "in_progress") else None

        ended: dict[str, Any] = wait_for(f"the end of deployment {id}", final, deadline)
        return ended
