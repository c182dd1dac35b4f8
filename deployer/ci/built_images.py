"""The images of this run. In: what `build` and `push` found. Out: `BuiltImage`s for the verbs after them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from deployer.ci import run_state
from deployer.core.errors import ReleaseIncomplete


@dataclass(frozen=True)
class BuiltImage:
    """One service's image: `id` is the engine's name for it, `digest` the registry's, once it is there.

    `tree` is the hash of what it is built from, empty where that cannot be told. `reused`: the registry
    had it, tested, and nothing was built. `seconds`: what building it took. `tags`: all that name it in
    the registry after the push.
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
        """The name it was built and is pushed under."""
        return f"{self.repository}:{self.tag}"


def save_images(images: Iterable[BuiltImage]) -> None:
    """Keeps them for the next verb."""
    run_state.save("images", [asdict(image) for image in images])


def save_test_images(images: Iterable[BuiltImage]) -> None:
    """Keeps those of services that only test; they never leave the runner."""
    run_state.save("test-images", [asdict(image) for image in images])


def load_test_images() -> list[BuiltImage]:
    """Images of services that only test."""
    return _load("test-images")


def load_images() -> list[BuiltImage]:
    """Those of this run, none where nothing was built."""
    return _load("images")


def _load(name: str) -> list[BuiltImage]:
    return [
        BuiltImage(**{**fields, "tags": tuple(fields.get("tags", ()))}) for fields in run_state.load(name, [])
    ]


def require(verb: str) -> list[BuiltImage]:
    """The images, if `verb` did its part on them. Raises ReleaseIncomplete."""
    verdict = run_state.verdicts().get(verb)
    if verdict is None or not verdict.done:
        raise ReleaseIncomplete(f"`{verb}` has not succeeded in this run; nothing is done without it")
    return load_images()
