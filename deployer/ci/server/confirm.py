"""External confirmation that a new release serves. In: the deployment that waits for it. Out: one verdict,
sent; the server then removes the previous release or restores it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from deployer.ci.github import workflow_commands
from deployer.ci.server.follow import End, Followed
from deployer.ci.server.url_check import verify
from deployer.ci.server.verify_inputs import Outside
from deployer.core.build.release_check import Seen, Sight
from deployer.core.errors import DeployerError
from deployer.io.http_client import ServerUnavailable, call

_TRIES = 4
_NOT_WAITING = 409


class NotVerified(DeployerError):
    """The deployment succeeded, but the public address does not show its release."""

    code = "not-verified"


@dataclass
class Check:
    """Check of the public address for one deployment."""

    followed: Followed
    revision: str
    place: Outside
    seen: Seen | None = None

    def confirm(self) -> None:
        """Checks the public address and sends the verdict to the server."""
        if not self.place.url:
            return
        self.seen = verify(self.place, self.revision, self._previous())
        verdict = "failed" if self.seen.sight is Sight.WRONG else "confirmed"
        body = json.dumps({"verdict": verdict, "reason": self.seen.reason}).encode()
        headers = {"Authorization": f"Bearer {self.followed.token}", "Content-Type": "application/json"}
        url = f"{self.followed.status_url}/confirmation"
        try:
            answer = call("POST", url, headers=headers, body=body, tries=_TRIES)
        except ServerUnavailable as error:
            workflow_commands.say(f"          {error}; the server did not receive the verdict ({verdict})")
            return
        if answer.status == _NOT_WAITING:
            workflow_commands.say("          the server no longer waits for a confirmation")
        elif answer.status != 200:
            workflow_commands.say(f"          the server answers {answer.status} to the confirmation")

    def finish(self, end: End) -> None:
        """Checks the public address if the server did not wait for a confirmation because nothing was
        switched. Raises NotVerified.
        """
        if self.place.url and self.seen is None:
            self.seen = verify(self.place, self.revision, str(end.record.get("previous") or ""))
            if self.seen.sight is Sight.WRONG:
                raise NotVerified(
                    self.seen.reason, hint="the server did not wait for a confirmation; see its log"
                )

    def _previous(self) -> str:
        """Returns the revision that served before, if the server knows it already."""
        headers = {"Authorization": f"Bearer {self.followed.token}"}
        try:
            record = call("GET", self.followed.status_url, headers=headers).table()
        except ServerUnavailable:
            return ""
        return str(record.get("previous") or "")
