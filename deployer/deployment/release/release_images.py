"""Resolution of a release's images. In: a deploy job, the image requirements of its services. Out: an image
for each service, or ImageUnproven; records of the images that a protected run proved.

A digest is proven when a run whose token's claims matched the environment built and tested it. A tag proves
nothing: it is accepted from the operator on the server, and elsewhere only with the setting `trust-tags`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deployer.core.auth.authorization import login_for, may_use_login, withheld
from deployer.core.config.settings import App, Environment
from deployer.core.errors import Forbidden, ImageNotFound, ImageUnproven, NotFound
from deployer.core.images import Image
from deployer.core.model import Credentials, DeployJob, Kind, Release, Trigger
from deployer.core.ports.registry import Registry
from deployer.core.ports.store import ImageRecords, Store
from deployer.core.release.image_labels import is_labelled, judge_labels
from deployer.core.release.image_selection import ImageRequirement
from deployer.core.release.proven_images import ProvenRun, images_of_revision, unproven_reuse

_SAFER = "let the action ask the server to deploy: its request proves the images that it tested"


@dataclass(frozen=True)
class ImageFinder:
    """Resolves one deploy job's images. `note` receives how an image was found; `compose` is the Compose
    file.
    """

    job: DeployJob
    app: App
    environment: Environment
    compose: str
    store: Store
    registry: Registry
    login: Credentials | None  # the server's own
    note: Callable[[str], None]

    def find(self, wanted: Sequence[ImageRequirement]) -> dict[str, Image]:
        """Returns service → image. Raises ImageUnproven, ImageOfAnother, ImageNotFound or
        RegistryUnavailable.
        """
        records = self.store.images.proven(self.app.name, self.environment.name)
        proven = images_of_revision(records, self.job.revision)
        return {want.service: self._image(want, proven) for want in wanted}

    def _image(self, want: ImageRequirement, proven: Mapping[str, Image]) -> Image:
        if not want.built:
            return self._shown(want.image) if want.image else self._resolve(want)
        known = [proven[name] for name in want.makers if name in proven]
        if want.image is None:
            found = next((image for image in known if image.repository == want.repository), None)
            if found:
                self.note(f"{want.service}: {found}, proven by a protected run of this commit")
            return found or self._by_tag(want)
        if self.job.trigger is Trigger.WEBHOOK and want.image not in known:
            self._require_trust(want, str(want.image))
            self._judge(want, want.image, str(want.image))
        return want.image

    def _by_tag(self, want: ImageRequirement) -> Image:
        name = f"{want.repository}:{want.tag}"
        self._require_trust(want, name)
        image = self._resolve(want)
        self._judge(want, image, name)
        return image

    def _resolve(self, want: ImageRequirement) -> Image:
        try:
            return self.registry.resolve(want.repository, want.tag, self._login_to(want.repository))
        except ImageNotFound as error:
            raise withheld(self.app, want.repository, error) from None

    def _shown(self, image: Image) -> Image:
        """Returns an image that the file names by digest, after asking its registry if this app may read it:
        the image may be on the machine for another app. An image that this environment already runs needs no
        such check.
        """
        serving = served_images(self.store, self.app.name, self.environment.name)
        if may_use_login(self.app, image.repository) or image in serving.values():
            return image
        try:
            self.registry.require(image, self._login_to(image.repository))
        except ImageNotFound as error:
            raise withheld(self.app, image.repository, error) from None
        return image

    def _judge(self, want: ImageRequirement, image: Image, name: str) -> None:
        labels = self.registry.image_config(image, self._login_to(image.repository)).labels
        judge_labels(labels, name, self.app.repository, self.compose, want.makers)
        unlabelled = "" if is_labelled(labels) else ", and without the action's labels"
        self.note(f"{want.service}: {name} is taken as it is, not proven by a protected run{unlabelled}")

    def _require_trust(self, want: ImageRequirement, name: str) -> None:
        if self.job.trigger is Trigger.CLI or self.environment.trust_tags:
            return
        place = f"apps.{self.app.name}.environments.{self.environment.name}"
        raise ImageUnproven(
            f"service {want.service}: no protected run of {self.job.revision[:7]} proved its image, and"
            f" {name} alone does not show who pushed it",
            hint=f"{_SAFER}; or set {place}.trust-tags = true: then every job that may write packages of"
            " the repository decides what runs",
        )

    def _login_to(self, repository: str) -> Credentials | None:
        return login_for(self.app, repository, self.job.credentials, self.login)


def served_images(store: Store, app: str, environment: str) -> Mapping[str, Image]:
    """Returns service → image of the serving release; empty if there is none or it is no longer kept."""
    serving = store.deployments.serving(app, environment)
    if serving is None:
        return {}
    try:
        return store.releases.get(serving.release).images
    except NotFound:
        return {}


def keep_proof(job: DeployJob, release: Release, images: ImageRecords) -> None:
    """Records the images that the job's run proved, if any. Raises Forbidden if the run reused an image from
    a record that was not written with this server's key.
    """
    if job.tested is None or job.kind is not Kind.DEPLOY or job.images is None:
        return
    records = images.proven(job.app, job.environment)
    if unknown := unproven_reuse(records, job.tested, job.images):
        images.sweep_proven(job.app, job.environment)
        raise Forbidden(
            f"service {unknown[0]}: the run reused {job.images[unknown[0]]} as proven, but no protected run"
            " proved it",
            hint="run the workflow again; the run builds the image then",
        )
    trees = {name: tree for name, tree in job.tested.trees.items() if name in job.images}
    images.note_proven(
        ProvenRun(
            job.app,
            job.environment,
            release.revision,
            job.tested.combination,
            {name: image for name, image in job.images.items() if name in release.images},
            trees,
        )
    )
