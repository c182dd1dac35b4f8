"""A receiver to test against: settings, requests and deliveries as clients send them, and a store on a real
file.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.adapters.system.clock import SystemClock
from deployer.core.config.settings import Config, load_config
from deployer.core.errors import TokenRejected
from deployer.core.images import Image
from deployer.core.model import Bundle, Run
from deployer.core.requests.deploy_request import DeployRequest, audience_of, encode_request
from deployer.core.webhooks.delivery import parse_delivery
from deployer.core.webhooks.triggers import Deploy, Ignore, ImageAnnouncement, decide
from deployer.ingress.receiver import Receiver

PAYLOADS = Path(__file__).parent.parent / "payloads"
SECRET = b"a webhook secret of the shop, long enough"
URL = "https://deploy.example.com"
REVISION = "a" * 40
DIGEST = "sha256:" + "b" * 64
BUNDLE = Bundle("compose.yaml", {"compose.yaml": "services:\n  web:\n    build: .\n"})


def config_of(**environment: Any) -> Config:
    """Returns settings of one app, `shop`, with `production`; `environment` changes that environment's
    settings.
    """
    return load_config(config_table(**environment))


def config_table(**environment: Any) -> dict[str, Any]:
    settings = {key.replace("_", "-"): value for key, value in environment.items()}
    return {
        "server": {"url": URL},
        "apps": {
            "shop": {
                "repository": "acme/shop",
                "repository-id": 4711,
                "owner-id": 42,
                "environments": {"production": settings},
            }
        },
    }


def two_apps(**settings: Any) -> Config:
    """Returns settings of `shop` and `admin` in one repository."""
    table = config_table(**settings)
    table["apps"]["admin"] = {**table["apps"]["shop"], "environments": {"production": dict(settings)}}
    return load_config(table)


def deploy_request(**changes: Any) -> DeployRequest:
    fields: dict[str, Any] = {
        "repository": "acme/shop",
        "app": "",
        "environment": "production",
        "revision": REVISION,
        "run": Run(12, 1),
        "actor": "whoever the body says",
        "images": {"web": Image("ghcr.io/acme/shop-web", DIGEST)},
        "bundle": BUNDLE,
        "credentials": None,
    }
    return DeployRequest(**{**fields, **changes})


def encoded(request: DeployRequest) -> tuple[bytes, str]:
    """Returns the bytes of a request, and the audience that a token for them must have."""
    raw = encode_request(request)
    return raw, audience_of(URL, raw)


def fixture(name: str) -> dict[str, Any]:
    """Returns one of GitHub's example payloads, which the caller may change."""
    table: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_bytes())
    return table


def run_payload(**changes: Any) -> dict[str, Any]:
    """Returns a `workflow_run` that deploys `shop`; `changes` go into `workflow_run`, `action` and
    `repository_id` beside it.
    """
    payload = fixture("workflow_run/completed.payload")
    payload["action"] = changes.pop("action", "completed")
    payload["repository"].update(id=changes.pop("repository_id", 4711), full_name="acme/shop")
    run = payload["workflow_run"]
    run["head_repository"]["id"] = 4711
    run.update(event="push", head_branch="main", head_sha=REVISION, run_number=12, run_attempt=1)
    run["path"] = ".github/workflows/deploy.yml@main"
    run.update(copy.deepcopy(changes))
    return payload


def sign(raw: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, raw, hashlib.sha256).hexdigest()


def headers_of(
    event: str, *, form: bool = False, guid: str = "0b989ba4-242f-11e5-81e1-c7b6966d2516"
) -> dict[str, str]:
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": guid, "Content-Type": kind}


def body_of(payload: Mapping[str, Any], *, form: bool = False) -> bytes:
    text = json.dumps(payload)
    return urlencode({"payload": text}).encode() if form else text.encode()


def open_store(state: Path) -> SqliteStore:
    return SqliteStore(state / "deployer.db", open_secret_store(state / "key"))


def no_oidc(_token: str, _audience: str) -> Mapping[str, object]:
    raise TokenRejected("no OIDC in this test")


def receiver_of(store: SqliteStore, config: Config | None = None, **changes: Any) -> Receiver:
    fields: dict[str, Any] = {
        "config": config or config_of(),
        "store": store,
        "verify_token": no_oidc,
        "secrets": {"shop": [SECRET]},
        "clock": SystemClock(),
    }
    return Receiver(**{**fields, **changes})


def announcement(**changes: Any) -> dict[str, Any]:
    """Returns a `deployment` that deploys `shop`, made by a run on `main`; `changes` go into `deployment`,
    and `run` and `repository_id` beside it.
    """
    payload = fixture("deployment/payload")
    payload["repository"]["id"] = changes.pop("repository_id", 4711)
    run = changes.pop("run", {})
    made = {"event": "push", "head_branch": "main", "head_sha": REVISION, "run_number": 12, "run_attempt": 1}
    path = ".github/workflows/deploy.yml@main"
    payload["workflow_run"] = None if run is None else {**made, "path": path, **run}
    release = {"schema": 1, "images": {"web": f"ghcr.io/acme/shop-web@{DIGEST}"}}
    payload["deployment"].update(sha=REVISION, ref="main", task="deploy-images", payload=release)
    payload["deployment"].update(copy.deepcopy(changes))
    return payload


def package_event(event: str = "package", **changes: Any) -> dict[str, Any]:
    """Returns GitHub's event for one image of `shop` (shape of a real delivery of 2025-11): `changes` are its
    `tag`, `commit`, `name`, `namespace`, `kind`, `action` and `repository_id`.
    """
    given: dict[str, Any] = {
        "tag": f"sha-{REVISION}",
        "commit": REVISION,
        "name": "shop-web",
        "namespace": "acme",
    }
    given |= {"kind": "CONTAINER", "action": "published", "repository_id": 4711, **changes}
    version = {
        "version": DIGEST,
        "name": DIGEST,
        "target_commitish": "main",
        "target_oid": given["commit"],
        "created_at": "0001-01-01T00:00:00Z",
        "container_metadata": {"tag": {"name": given["tag"], "digest": DIGEST}},
        "package_url": f"ghcr.io/{given['namespace']}/{given['name']}:{given['tag']}",
    }
    package = {"name": given["name"], "namespace": given["namespace"], "package_type": given["kind"]}
    payload = {
        "action": given["action"],
        event: {**package, "ecosystem": given["kind"], "package_version": version},
        "sender": {"login": "octocat"},
    }
    if given["repository_id"]:
        payload["repository"] = {"id": given["repository_id"], "full_name": "acme/shop"}
    return payload


def decision(
    payload: dict[str, Any], config: Config | None = None, event: str = "workflow_run"
) -> Deploy | Ignore | ImageAnnouncement:
    """Returns the decision about a delivery of this payload."""
    return decide(parse_delivery(headers_of(event), body_of(payload)), config or config_of())


def reason(payload: dict[str, Any], config: Config | None = None, event: str = "workflow_run") -> str:
    """Returns the reason why the payload starts nothing."""
    answer = decision(payload, config, event)
    assert isinstance(answer, Ignore)
    return answer.reason
