"""The command `docker compose` with its files below one folder. Starts and stops nothing.

Only Compose knows how to read its files and to turn a service into a container, so both are left to it. Its
output may quote variables and leaves this package redacted.
"""

from __future__ import annotations

from pathlib import Path

from deployer.adapters.docker.compose.bundle_folders import BundleFolders
from deployer.adapters.docker.compose.compose_command import ComposeCommand
from deployer.adapters.docker.compose.compose_process import ComposeProcess
from deployer.adapters.docker.compose.model_renderer import ModelRenderer
from deployer.adapters.docker.compose.project_locks import ProjectLocks
from deployer.adapters.docker.compose.renderings import Renderings
from deployer.adapters.docker.compose.request_recording import RequestRecording
from deployer.adapters.docker.compose.saved_models import SavedModels


class Compose:
    """The collaborators around Compose for one state folder, which the engine's host must see under the same
    path.
    """

    def __init__(self, state: Path, process: ComposeProcess | None = None) -> None:
        self.folders = BundleFolders(state)
        self.locks = ProjectLocks(state / "projects")
        self.models = SavedModels(state / "projects")
        self.renderings = Renderings()
        command = ComposeCommand(state, process or ComposeProcess(), self.locks, self.renderings)
        self.renderer = ModelRenderer(command, self.folders, self.renderings)
        self.recording = RequestRecording(state, command, self.renderings)
