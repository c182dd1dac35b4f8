"""The images of this run. In: what `build` and `push` found. Out: `BuiltImage`s for the verbs after them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from deployer.ci import state
from deployer.core.errors import ReleaseIncomplete


@dataclass(frozen=True)
class BuiltImage:
    """One service's image: `id` is the engine's name for it, `digest` the registry's, once it is pushed."""

    service: str
    repository: str
    tag: str
    id: str
    digest: str = ""

    @property
    def reference(self) -> str:
        """The name it was built and is pushed under."""
        return f"{self.repository}:{self.tag}"


def save_images(images: Iterable[BuiltImage]) -> None:
    """Keeps them for the next verb."""
    state.save("images", [asdict(image) for image in images])


def load_images() -> list[BuiltImage]:
    """Those of this run, none where nothing was built."""
    return [BuiltImage(**fields) for fields in state.load("images", [])]


def require(verb: str) -> list[BuiltImage]:
    """The images, if `verb` did its part on them. Raises ReleaseIncomplete."""
    verdict = state.verdicts().get(verb)
    if verdict is None or not verdict.done:
        raise ReleaseIncomplete(f"`{verb}` has not succeeded in this run; nothing is done without it")
    return load_images()
