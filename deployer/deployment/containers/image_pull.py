"""Pull of a release's images. In: an application, logins. Out: every image on the engine and one event for
each, or the registry's or the disk's error.

Images that are present are not requested, so a rollback needs no registry. Transient failures (5xx, 429, a
cut connection) are retried; an image that the registry does not have is not.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from deployer.core.auth.authorization import login_for, may_use_login, withheld
from deployer.core.backoff import pause
from deployer.core.config.settings import App, Environment
from deployer.core.errors import DeployerError, ImageNotFound, RegistryUnavailable
from deployer.core.images import Image
from deployer.core.model import Credentials, EventKind
from deployer.core.ports.journal import Journal
from deployer.core.release.retention import bytes_needed, judge_space
from deployer.core.rollout.desired_state import DesiredState
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.release.release_images import served_images

_LONGEST = 600.0  # seconds of one image's pull
_BIT = 0.2  # seconds
_AT_ONCE = 3  # as many as the engine fetches layers of one image


@dataclass(frozen=True)
class ImagePull:
    """Pulls one deployment's images, until `deadline` on the monotonic clock."""

    context: ContainerContext
    app: App
    environment: Environment
    credentials: Credentials | None  # from the request
    journal: Journal
    deadline: float

    def pull(self, application: DesiredState) -> None:
        """Pulls every image that is not on the target. Raises DiskFull, ImageNotFound or
        RegistryUnavailable.
        """
        missing = {
            service.name: service.image
            for service in application.services
            if service.image and not self.context.host.images.image_id(service.image)
        }
        for image in missing.values():
            self.context.registry.judge(image.repository)
        self._check_space(missing)
        self._fetch_all(missing)
        if application.routes:
            self.context.host.router.fetch_edge(lambda text: self._tell(f"the edge: {text}"))

    def _check_space(self, missing: Mapping[str, Image]) -> None:
        if not missing:
            return
        free = self.context.host.images.free_bytes()
        if free is None:
            self._tell("free disk space is not checked: the engine's disk is not visible from here")
            return
        before = served_images(self.context.store, self.app.name, self.environment.name)
        try:
            wanted, present = self._sizes(missing, before)
        except DeployerError:  # the registry gives no sizes; the pull itself reports the cause
            return
        judge_space(bytes_needed(wanted, present), free)

    def _sizes(
        self, missing: Mapping[str, Image], before: Mapping[str, Image]
    ) -> tuple[dict[str, int], set[str]]:
        """Returns layer → bytes of the missing images, and the layers that are present: those of `before`,
        service → image of the serving release.
        """
        wanted: dict[str, int] = {}
        present: set[str] = set()
        for service, image in missing.items():
            wanted |= self.context.registry.layers(image, self._login(image))
            if service in before:
                present |= set(self.context.registry.layers(before[service], self._login(before[service])))
        return wanted, present

    def _fetch_all(self, missing: Mapping[str, Image]) -> None:
        """Pulls each image once, however many services share it. The first failure ends the pull: the other
        pulls log nothing more and are not awaited, as one of them may hang for minutes.
        """
        names: dict[Image, list[str]] = {}
        for service, image in missing.items():
            names.setdefault(image, []).append(service)
        left, over = deque(names.items()), threading.Event()
        ends: SimpleQueue[Exception | None] = SimpleQueue()

        def work() -> None:
            with suppress(IndexError):
                while not over.is_set():
                    image, services = left.popleft()
                    ends.put(self._end_of(", ".join(services), image, over))

        for _ in range(min(_AT_ONCE, len(names))):
            threading.Thread(target=work, name="pull", daemon=True).start()
        for _ in names:
            if error := ends.get():
                over.set()
                raise error

    def _end_of(self, service: str, image: Image, over: threading.Event) -> Exception | None:
        try:
            self._fetch(service, image, over)
        except Exception as error:
            return error
        return None

    def _fetch(self, service: str, image: Image, over: threading.Event) -> None:
        begun, tried = self.context.clock.monotonic(), 0
        self.context.store.images.note_pull(image)
        while True:
            self._in_time()
            _check_going_on(over)
            try:
                self._once(service, image, over)
                break
            except RegistryUnavailable as error:
                _check_going_on(over)
                tried += 1
                rest = pause(tried, self.context.clock.monotonic() - begun, random.random())
                if rest is None:
                    raise
                self._tell(f"{service}: {error}; trying again in {rest:.1f} s")
                self._rest(rest, over)
        _check_going_on(over)
        self._tell(f"{service} {image.short} in {self.context.clock.monotonic() - begun:.1f} s")

    def _once(self, service: str, image: Image, over: threading.Event) -> None:
        left = self.deadline - self.context.clock.monotonic()

        def say(text: str) -> None:
            _check_going_on(over)
            self._tell(f"{service}: {text}")

        stored = may_use_login(self.app, image.repository)
        try:
            self.context.host.images.pull(image, self._login(image), say, min(_LONGEST, left), stored=stored)
        except ImageNotFound as error:
            raise withheld(self.app, image.repository, error) from None

    def _rest(self, seconds: float, over: threading.Event) -> None:
        """Sleeps in small steps, and ends early when another pull has failed."""
        end = self.context.clock.monotonic() + seconds
        while (left := end - self.context.clock.monotonic()) > 0:
            _check_going_on(over)
            self.context.clock.sleep(min(_BIT, left))

    def _tell(self, text: str) -> None:
        self.journal.record(EventKind.PULL, text)

    def _in_time(self) -> None:
        if self.context.clock.monotonic() > self.deadline:
            raise RegistryUnavailable("the images were not pulled by the deployment's deadline")

    def _login(self, image: Image) -> Credentials | None:
        return login_for(self.app, image.repository, self.credentials, self.context.login)


class _GivenUpError(Exception):
    """Ends a pull because another one has failed."""


def _check_going_on(over: threading.Event) -> None:
    if over.is_set():
        raise _GivenUpError
