"""Execution of a release's hooks. In: an application and a hook point (`pre-deploy`, …). Out: nothing, or
HookFailed; the hooks' output becomes events.

A hook that a killed deployer left running is awaited, and a hook that succeeded is not run again: its
container is kept, as the record of that, until the deployment ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.compose.deploy_hooks import Hook, HookMoment
from deployer.core.errors import HookFailed
from deployer.core.model import ContainerState, EventKind, Replica
from deployer.core.ports.clock import Clock
from deployer.core.ports.container_host import ContainerHost
from deployer.core.ports.journal import Journal
from deployer.core.reporting.log_excerpt import quotation
from deployer.core.rollout.desired_state import DesiredState

_TICK = 0.05
_ENDED = (ContainerState.EXITED, ContainerState.DEAD)


@dataclass(frozen=True)
class DeployHooks:
    """Runs one deployment's hooks. The journal removes variable values from their output."""

    deployment: str
    host: ContainerHost
    clock: Clock
    journal: Journal

    def run(self, application: DesiredState, moment: HookMoment, deadline: float) -> bool:
        """Runs the hooks of one hook point one after another, in dependency order. True if there was any."""
        mine = [hook for hook in application.hooks if hook.moment == moment]
        for hook in mine:
            self._run(application, hook, deadline)
        return bool(mine)

    def clear(self, project: str) -> None:
        """Removes the hook containers, which record that the hooks ran."""
        self.host.hooks.end_hooks(project)

    def _run(self, application: DesiredState, hook: Hook, deadline: float) -> None:
        self.journal.record(hook.moment, f"{hook.service}: {' '.join(hook.command)}")
        begun = self.clock.monotonic()
        replica = self.host.hooks.begin_hook(application, hook, self.deployment)
        now = self._wait(replica, min(deadline, begun + hook.seconds))
        lines = [
            line.rstrip()
            for line in self.journal.redact(self.host.runtime.log_tail(replica)).splitlines()
            if line.strip()
        ]
        for line in lines:
            self.journal.record(EventKind.LOG, f"{hook.service} {hook.moment} | {line}")
        took = self.clock.monotonic() - begun
        if now is None or now.running:
            self.host.runtime.remove([replica])
            raise HookFailed(f"{hook.moment} of {hook.service} did not end within {took:.0f} s")
        if now.exit_code:
            ended = f"{hook.moment} of {hook.service} ended with code {now.exit_code}"
            raise HookFailed(f"{ended}{quotation(lines)}")
        self.journal.record(hook.moment, f"{hook.service} done in {took:.1f} s")

    def _wait(self, replica: Replica, until: float) -> Replica | None:
        while (now := self.host.hooks.look(replica)) and now.state not in _ENDED:
            if self.clock.monotonic() > until:
                break
            self.clock.sleep(_TICK)
        return now
