"""Memory of renderings. In: a bundle with its variables and its model. Out: the same rendering for the same
input, and the values that no error of its project shows.

Renderings of deploys have a bound. Renderings of plans are forgotten with the plan, and push out nothing that
a deploy works with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deployer.core.docker.container_requests import CreateRequest
from deployer.core.model import Bundle
from deployer.core.redaction import hide_values

_KEPT_RENDERINGS = 64
_KEPT_VALUES = 64  # renderings of one project whose values no error shows


@dataclass
class Rendering:
    """Bundle with its variables: the same ones always give the same model and the same containers."""

    bundle: Bundle
    variables: Mapping[str, str]
    folder: Path
    model: dict[str, Any]
    plan: bool  # used by plans alone
    # by the container ids that the recording was made with
    recorded: dict[str, tuple[CreateRequest, ...]] = field(default_factory=dict)


class Renderings:
    """Keeps renderings by name, the oldest first, and the values of their variables by project."""

    def __init__(self) -> None:
        self._renderings: dict[str, Rendering] = {}
        self._planned: dict[str, dict[str, str]] = {}  # folder of plans → rendering → project
        self._values: dict[str, dict[str, frozenset[str]]] = {}  # project → rendering → hidden values

    def __getitem__(self, name: str) -> Rendering:
        return self._renderings[name]

    def find(self, name: str) -> Rendering | None:
        return self._renderings.get(name)

    def keep(self, project: str, name: str, rendering: Rendering, *, plan: bool) -> None:
        """Keeps a rendering, and forgets the oldest ones of deploys."""
        rendering.plan = rendering.plan and plan
        self._renderings[name] = rendering
        lasting = [name for name, made in list(self._renderings.items()) if not made.plan]
        for oldest in lasting[:-_KEPT_RENDERINGS]:
            self._renderings.pop(oldest, None)
        hidden = self._values.get(project, {})
        for oldest in list(hidden)[:-_KEPT_VALUES]:
            if oldest not in self._renderings:
                hidden.pop(oldest, None)

    def note_plan(self, project: str, name: str, folder: str) -> None:
        """Notes that a plan renders the bundle in `folder`."""
        self._planned.setdefault(folder, {})[name] = project

    def forget_plans(self, folder: str) -> None:
        """Forgets the renderings of `folder` that plans alone used."""
        for name, project in self._planned.pop(folder, {}).items():
            made = self._renderings.get(name)
            if made is None or made.plan:
                self._renderings.pop(name, None)
                self._values.get(project, {}).pop(name, None)

    def hide(self, project: str, name: str, variables: Mapping[str, str]) -> None:
        """Hides these values in every later error of the project."""
        self._values.setdefault(project, {})[name] = frozenset(variables.values())

    def redaction(self, project: str) -> Callable[[str], str]:
        """Returns the redaction of the project's values. They are kept, as a container may be created long
        after its variables were read.
        """
        kept = list(self._values.get(project, {}).values())
        return partial(hide_values, values=frozenset().union(*kept))
