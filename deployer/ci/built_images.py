"""The images of this run. In: results of `build` and `push`. Out: `BuiltImage`s for the later verbs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from deployer.ci import run_state
from deployer.core.errors import ReleaseIncomplete


@dataclass(frozen=True)
class BuiltImage:
    """Image of one service: `id` is the engine's name for it, `digest` the registry's, known after the push.

    `tree` is the hash of the build's input, empty if it cannot be determined. `reused`: the registry had the
    image, tested, and nothing was built. `seconds`: duration of the build. `tags`: all its tags in the
    registry after the push.
    """

    service: str
    repository: str
    tag: str
    id: str
    digest: str = ""
    tree: str = ""
    reused: bool = False
    seconds: float = 0.0
    tags: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """Repository and tag of the build and the push."""
        return f"{self.repository}:{self.tag}"


def save_images(images: Iterable[BuiltImage]) -> None:
    """Stores the run's images for the next verb."""
    run_state.save("images", [asdict(image) for image in images])


def save_test_images(images: Iterable[BuiltImage]) -> None:
    """Stores the images of services that only test; these images never leave the runner."""
    run_state.save("test-images", [asdict(image) for image in images])


def load_test_images() -> list[BuiltImage]:
    """Returns the images of services that only test."""
    return _load("test-images")


def load_images() -> list[BuiltImage]:
    """Returns this run's images; none if nothing was built."""
    return _load("images")


def _load(name: str) -> list[BuiltImage]:
    return [
        BuiltImage(**{**fields, "tags": tuple(fields.get("tags", ()))}) for fields in run_state.load(name, [])
    ]


def require(verb: str) -> list[BuiltImage]:
    """Returns the images if `verb` has succeeded on them. Raises ReleaseIncomplete."""
    verdict = run_state.verdicts().get(verb)
    if verdict is None or not verdict.done:
        raise ReleaseIncomplete(f"`{verb}` has not succeeded in this run; nothing is done without it")
    return load_images()
