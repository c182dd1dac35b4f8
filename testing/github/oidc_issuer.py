"""A small OIDC issuer on 127.0.0.1, like GitHub Actions'. In: HTTP. Out: its keys, and tokens for authorized
jobs.

GET /.well-known/openid-configuration, GET /.well-known/jwks, and GET /token?api-version=2.0&audience=… that
answers {"value": jwt} to `Authorization: bearer <request_token>`, like the URL in
ACTIONS_ID_TOKEN_REQUEST_URL. `claims` overrides GitHub's usual claims.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLAIMS: dict[str, Any] = {
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "repository": "acme/shop",
    "repository_id": "4711",
    "repository_owner": "acme",
    "repository_owner_id": "42",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "sha": "a" * 40,
    "event_name": "push",
    "actor": "octocat",
    "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
    "run_id": "1001",
    "run_number": "12",
    "run_attempt": "1",
    "runner_environment": "github-hosted",
}


class Issuer:
    """Issuer with `start` and `stop`, also a context manager. `down` makes the key endpoints answer 503;
    `jwks_hits` counts their requests; `minted` keeps every token.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.request_token = secrets.token_urlsafe(16)
        self.lifetime = 300
        self.minted: list[str] = []
        self.down = False
        self.jwks_hits = 0
        self.rotate()
        issuer = self

        class Endpoint(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = issuer._answer(self.path, self.headers.get("Authorization", ""))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.token_url = f"{self.url}/token?api-version=2.0"

    def start(self) -> Issuer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Issuer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def rotate(self) -> None:
        """Publishes a new key at once; tokens of the old key are no longer verifiable."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(8)

    def environment(self) -> dict[str, str]:
        """Returns the variables that a runner sets for a job with `permissions: id-token: write`."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": self.token_url,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.request_token,
        }

    def mint(self, audience: str, **claims: Any) -> str:
        """Signs a token; a claim given as None is left out."""
        now = int(time.time())
        table = {
            "iss": self.url,
            "aud": audience,
            "iat": now,
            "nbf": now - 600,
            "exp": now + self.lifetime,
            "jti": secrets.token_hex(16),
            **CLAIMS,
            **self.claims,
            **claims,
        }
        present = {name: value for name, value in table.items() if value is not None}
        self.minted.append(jwt.encode(present, self.key, algorithm="RS256", headers={"kid": self.kid}))
        return self.minted[-1]

    def jwks(self) -> dict[str, Any]:
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def _answer(self, target: str, authorization: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(target)
        if parts.path == "/token":
            return self._answer_token(parse_qs(parts.query), authorization)
        if parts.path == "/.well-known/jwks":
            self.jwks_hits += 1
        if self.down:
            return 503, {"message": "down"}
        if parts.path == "/.well-known/jwks":
            return 200, self.jwks()
        if parts.path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/.well-known/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        return 404, {"message": "Not Found"}

    def _answer_token(self, query: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, Any]]:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or secret != self.request_token:
            return 401, {"message": "Unauthorized"}
        owner = f"https://github.com/{CLAIMS['repository_owner']}"
        return 200, {"value": self.mint(query.get("audience", [owner])[0])}
