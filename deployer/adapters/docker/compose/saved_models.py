"""Models that run, as files. In: an application. Out: `compose.yaml` in the project's folder, where
`docker compose -f` finds it by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

from deployer.adapters.system.files import make_folder, write_whole
from deployer.core.rollout.desired_state import DesiredState


class SavedModels:
    """Writes the model of each project that runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, application: DesiredState) -> Path:
        path = self.path(application.project)
        make_folder(path.parent)
        text = json.dumps(application.document, indent=1, sort_keys=True)
        write_whole(path, text)
        return path

    def path(self, project: str) -> Path:
        return self._folder / project / "compose.yaml"
