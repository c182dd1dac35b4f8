"""`docker compose` on the files of one rendering. In: words. Out: the output, redacted; ExitedWithError has
Compose's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deployer.adapters.docker.compose.compose_process import ComposeProcess
from deployer.adapters.docker.compose.project_locks import ProjectLocks
from deployer.adapters.docker.compose.renderings import Rendering, Renderings


class ComposeCommand:
    """Calls Compose on the user's own files, with the variables in memory and the project's lock
    inherited.
    """

    def __init__(
        self, state: Path, process: ComposeProcess, locks: ProjectLocks, renderings: Renderings
    ) -> None:
        self._state = state
        self._process = process
        self._locks = locks
        self._renderings = renderings

    def run(
        self,
        project: str,
        rendering: Rendering,
        words: Sequence[str],
        timeout: float,
        socket: Path | None = None,
        readable: Sequence[Path] = (),
    ) -> str:
        """Returns Compose's output. `socket`: the engine's; `readable`: files outside the release that
        Compose may read.
        """
        self._process.give_access(project, self._state, socket)
        entry = rendering.folder / rendering.bundle.entry
        where = ("-p", project, "--project-directory", str(entry.parent))
        return self._process.run(
            (*where, "-f", str(entry), *words),
            project=project,
            folder=entry.parent,
            readable=(rendering.folder, *readable),
            variables=rendering.variables,
            timeout=timeout,
            socket=socket,
            keep=self._locks.descriptors(project),
            hide=self._renderings.redaction(project),
        )
