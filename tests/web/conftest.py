"""A receiver over a real store, called through Flask's client or served by waitress on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from waitress.server import create_server

from deployer.adapters.github.oidc_verifier import OidcVerifier
from deployer.core.auth.api_tokens import Right
from deployer.ingress.receiver import Receiver
from deployer.web.api.event_streams import StreamLimits
from deployer.web.app import create_app
from testing.github.oidc_issuer import Issuer
from testing.receiver.receiver_inputs import deploy_request, encoded, open_store, receiver_of


@dataclass
class WebClient:
    """One running receiver with what the tests need of it."""

    receiver: Receiver
    client: FlaskClient
    issuer: Issuer

    def token(self, *can: Right, name: str = "anna", app: str = "shop") -> dict[str, str]:
        """The header of a person with a new token."""
        secret = self.receiver.store.tokens.create(
            name=name, app=app, can=frozenset(can), expires_at=None, now=1.0
        )
        return bearer(secret)

    def deploy(self, **changes: Any) -> dict[str, Any]:
        """The answer to a good request of the action."""
        raw, audience = encoded(deploy_request(**changes))
        run = changes["run"].number if "run" in changes else 12
        minted = self.issuer.mint(audience, run_number=str(run))
        answer = self.client.post("/api/v1/deployments", data=raw, headers=bearer(minted))
        assert answer.status_code in (200, 202), answer.text
        table: dict[str, Any] = answer.get_json()
        return table


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def web_client(tmp_path: Path) -> Iterator[WebClient]:
    store = open_store(tmp_path)
    with Issuer() as issuer:
        receiver = receiver_of(
            store, verify_token=OidcVerifier(issuer.url, tmp_path / "jwks.json").verify_token
        )
        yield WebClient(receiver, create_app(receiver).test_client(), issuer)
    store.close()


@pytest.fixture
def served(web_client: WebClient) -> Iterator[str]:
    """The receiver's address on a real socket; streams there are few, short and lively."""
    app = create_app(web_client.receiver, streams=StreamLimits(count=2, length=1.5, beat=0.2, look=0.02))
    server = create_server(app, host="127.0.0.1", port=0, threads=8, asyncore_use_poll=True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(5)
