"""Additions of the deployer to a rendered Compose model. In: nothing. Out: the keys under which a rendering
carries the release's files, and the two folders that they lie in.
"""

from __future__ import annotations

from dataclasses import dataclass

# Keys that a rendering adds to its model: digests of the files, the folder that Compose reads them from, the
# one that containers mount them from, and the name of the rendering.
FILES, FOLDER = "x-deployer-files", "x-deployer-folder"
MOUNTED, RENDERING = "x-deployer-mounted", "x-deployer-rendering"
ADDED = (FILES, FOLDER, MOUNTED, RENDERING)


@dataclass(frozen=True)
class Folders:
    """Folders of the two copies of a release's files on the engine's host: Compose reads one, containers
    mount the other.
    """

    read: str = ""
    mounted: str = ""

    def mounted_path(self, path: str) -> str:
        """Returns the path from which a container mounts the file that Compose reads at `path`; empty for any
        other path.
        """
        if not self.read or not f"{path}/".startswith(f"{self.read}/"):
            return ""
        return self.mounted + path.removeprefix(self.read)
