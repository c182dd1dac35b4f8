"""Where a release's images come from: the request, a protected run's record, or a tag that is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.auth.authorization import authorise_claims, login_for
from deployer.core.errors import Forbidden, ImageNotFound, ImageOfAnother, ImageUnproven, StoreUnavailable
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Attested, Bundle, Credentials, DeployJob, Kind, Release, Run, Status, Trigger
from deployer.core.release.image_labels import COMPOSE_LABEL, SERVICE_LABEL, SOURCE_LABEL
from deployer.core.release.image_selection import ImageRequirement
from deployer.core.release.proven_images import KEPT, ProvenRun
from deployer.deployment.release.release_images import ImageFinder, keep_proof
from testing.compose_models import digest
from testing.github.oidc_issuer import CLAIMS
from testing.receiver.receiver_inputs import config_of, deploy_request

REVISION, T1 = "a" * 40, "1" * 64
WEB = "ghcr.io/acme/shop-web"
OWN = {SOURCE_LABEL: "https://github.com/acme/shop", COMPOSE_LABEL: "compose.yaml", SERVICE_LABEL: "web"}
BY_TAG = ImageRequirement("web", None, WEB, f"sha-{REVISION}", ("web",))


@dataclass
class Tags:
    """A registry whose every tag names one image."""

    image: Image
    labels: dict[str, str] = field(default_factory=dict)
    private: tuple[Image, ...] = ()

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        return self.image

    def layers(self, image: Image, credentials: Credentials | None) -> dict[str, int]:
        return {}

    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        return replace(ImageConfig(), labels=self.labels)

    def judge(self, repository: str) -> None:
        return

    def require(self, image: Image, credentials: Credentials | None) -> None:
        if image in self.private and credentials is None:
            raise ImageNotFound(f"{image} is not there, or this account may not read it", hint="log in")


POISON = Image(WEB, digest("e"))
PROVEN = Image(WEB, digest("a"))


def job(trigger: Trigger, images: dict[str, Image] | None = None, **changes: Any) -> DeployJob:
    made = DeployJob("shop", "production", Kind.DEPLOY, trigger, "ada", revision=REVISION, images=images)
    return replace(made, **changes)


def find(
    store: SqliteStore,
    asked: DeployJob,
    want: ImageRequirement = BY_TAG,
    *,
    trust: bool = False,
    labels: dict[str, str] | None = None,
    tags: Tags | None = None,
    login: Credentials | None = None,
    other: tuple[str, ...] = (),
) -> tuple[Image, list[str]]:
    config, notes = config_of(trust_tags=trust), list[str]()
    app = replace(config.app("shop"), other_images=other)
    finder = ImageFinder(
        asked, app, app.environment("production"), "compose.yaml", store,
        tags or Tags(POISON, OWN if labels is None else labels), login, notes.append,
    )  # fmt: skip
    return finder.find([want])["web"], notes


def release_of(images: dict[str, Image]) -> Release:
    return Release("", "shop", REVISION, images, Bundle("compose.yaml", {}), {})


def prove(store: SqliteStore, image: Image = PROVEN, revision: str = REVISION) -> None:
    store.images.note_proven(ProvenRun("shop", "production", revision, "", {"web": image}, {"web": T1}))


@pytest.mark.case("X05")
@pytest.mark.parametrize("trigger", [Trigger.WEBHOOK, Trigger.API, Trigger.ACTION])
def test_a_tag_alone_decides_nothing_unless_the_setting_says_so(store: SqliteStore, trigger: Trigger) -> None:
    with pytest.raises(ImageUnproven, match="no protected run of aaaaaaa") as caught:
        find(store, job(trigger))
    assert "apps.shop.environments.production.trust-tags = true" in caught.value.hint
    assert "let the action ask the server" in caught.value.hint
    image, notes = find(store, job(trigger), trust=True)
    assert image == POISON and "not proven by a protected run" in notes[0]


@pytest.mark.case("X05")
@pytest.mark.parametrize("trigger", [Trigger.WEBHOOK, Trigger.CLI])
@pytest.mark.parametrize("trust", [False, True])
def test_what_a_protected_run_proved_of_the_commit_goes_before_any_tag(
    store: SqliteStore, trigger: Trigger, trust: bool
) -> None:
    prove(store)
    image, notes = find(store, job(trigger), trust=trust)
    assert image == PROVEN and "proven by a protected run of this commit" in notes[0]


@pytest.mark.case("X05")
def test_the_record_of_another_commit_environment_or_app_proves_nothing(store: SqliteStore) -> None:
    prove(store, revision="b" * 40)
    for place in (("shop", "staging"), ("admin", "production")):
        store.images.note_proven(ProvenRun(*place, REVISION, "", {"web": PROVEN}, {"web": T1}))
    with pytest.raises(ImageUnproven):
        find(store, job(Trigger.WEBHOOK))


def test_the_operator_takes_a_tag_and_hears_that_it_proves_nothing(store: SqliteStore) -> None:
    image, notes = find(store, job(Trigger.CLI), labels={})
    assert image == POISON
    assert "not proven by a protected run, and without the action's labels" in notes[0]


@pytest.mark.case("X05")
def test_images_that_a_deployment_event_names_must_be_proven_or_trusted(store: SqliteStore) -> None:
    given = ImageRequirement("web", POISON, makers=("web",))
    with pytest.raises(ImageUnproven):
        find(store, job(Trigger.WEBHOOK, {"web": POISON}), given)
    assert find(store, job(Trigger.WEBHOOK, {"web": POISON}), given, trust=True)[0] == POISON
    prove(store, POISON)
    assert find(store, job(Trigger.WEBHOOK, {"web": POISON}), given) == (POISON, [])


def test_a_request_of_the_action_names_its_images_itself(store: SqliteStore) -> None:
    want = ImageRequirement("web", POISON, makers=("web",))
    assert find(store, job(Trigger.ACTION, {"web": POISON}), want) == (POISON, [])
    other = ImageRequirement("web", None, "docker.io/library/redis", "7")
    assert find(store, job(Trigger.WEBHOOK), other)[0] == POISON


@pytest.mark.case("H02")
@pytest.mark.parametrize("trigger", [Trigger.WEBHOOK, Trigger.CLI])
def test_an_image_that_was_built_for_another_service_is_refused_by_its_labels(
    store: SqliteStore, trigger: Trigger
) -> None:
    admin = {**OWN, COMPOSE_LABEL: "apps/admin/compose.yaml"}
    with pytest.raises(ImageOfAnother, match=r"apps/admin/compose\.yaml"):
        find(store, job(trigger), trust=True, labels=admin)


def run_of(images: dict[str, Image], reused: Sequence[str] = ()) -> DeployJob:
    """The wish of a protected run."""
    word = Attested("", dict.fromkeys(images, T1), frozenset(reused))
    request = deploy_request(images=images, tested=word, run=Run(12, 1))
    return authorise_claims(CLAIMS, request, config_of())


@pytest.mark.case("X05")
def test_what_a_protected_run_tested_is_kept_and_no_other_requests_word(store: SqliteStore) -> None:
    asked = run_of({"web": PROVEN})
    keep_proof(asked, release_of({"web": PROVEN}), store.images)
    (kept,) = store.images.proven("shop", "production")
    assert (kept.revision, kept.images, kept.trees) == (REVISION, {"web": PROVEN}, {"web": T1})
    for other in (
        job(Trigger.WEBHOOK, {"web": POISON}),
        job(Trigger.CLI),
        replace(asked, tested=None),
        replace(asked, kind=Kind.ROLLBACK),
    ):
        keep_proof(other, release_of({"web": POISON}), store.images)
    assert store.images.proven("shop", "production") == [kept]


def test_the_wish_keeps_its_word_in_the_queue(store: SqliteStore) -> None:
    asked = run_of({"web": PROVEN}, ["web"])
    store.queue.enqueue(asked, 1.0)
    claimed = store.queue.claim(2.0)
    assert claimed and claimed[1].tested == asked.tested


@pytest.mark.case("X05")
def test_a_record_that_the_web_process_forged_is_not_believed_and_goes(
    store: SqliteStore, tmp_path: Path
) -> None:
    web = SqliteStore(tmp_path / "deployer.db", open_secret_store(tmp_path / "key").sealing_key)
    with pytest.raises(StoreUnavailable, match="no key"):
        prove(web, POISON)
    prove(store)
    with web._database.write() as sql:
        columns = "app, environment, revision, combination, images, mark"
        sql.execute(
            f"INSERT INTO proven ({columns}) SELECT app, environment, revision, combination,"
            " replace(images, ?, ?), mark FROM proven",
            (PROVEN.digest, POISON.digest),
        )
    assert web.images.proven("shop", "production")[0].images == {"web": POISON}
    assert find(store, job(Trigger.WEBHOOK))[0] == PROVEN
    with pytest.raises(Forbidden, match="no protected run proved it"):
        keep_proof(run_of({"web": POISON}, ["web"]), release_of({"web": POISON}), store.images)
    assert web.images.proven("shop", "production")[0].images == {"web": PROVEN}
    keep_proof(run_of({"web": PROVEN}, ["web"]), release_of({"web": PROVEN}), store.images)
    web.close()


def test_records_are_bounded_for_each_environment(store: SqliteStore) -> None:
    for number in range(KEPT + 3):
        prove(store, revision=f"{number:040x}")
    store.images.note_proven(ProvenRun("shop", "staging", REVISION, "", {"web": PROVEN}, {}))
    kept = store.images.proven("shop", "production")
    assert (len(kept), kept[0].revision, kept[-1].revision) == (KEPT, f"{KEPT + 2:040x}", f"{3:040x}")
    assert store._database.read("SELECT count(*) FROM proven")[0][0] == KEPT + 1


SECRET = Image("ghcr.io/acme/payroll", digest("5"))


@pytest.mark.case("X13")
def test_another_apps_private_image_is_not_had_by_its_digest_although_it_is_on_the_engine(
    store: SqliteStore,
) -> None:
    own = Credentials("ghcr.io", "server", "p")
    want, tags = ImageRequirement("stolen", SECRET), Tags(POISON, OWN, (SECRET,))

    def take(**changes: Any) -> tuple[Image, list[str]]:
        asked = DeployJob("shop", "production", Kind.DEPLOY, Trigger.CLI, "ada", revision=REVISION)
        wanted = replace(want, service="web")
        return find(store, asked, wanted, tags=tags, login=own, **changes)

    with pytest.raises(ImageNotFound) as caught:
        take()
    assert "grant it with other-images" in caught.value.hint
    assert take(other=("ghcr.io/acme/payroll",))[0] == SECRET
    deployment, _ = store.queue.enqueue(job(Trigger.CLI), 1.0)
    store.queue.claim(2.0)
    store.releases.save(deployment.id, release_of({"web": SECRET}), 3.0)
    store.queue.finish(deployment.id, Status.SUCCESS, "", 4.0)
    assert take()[0] == SECRET, "what serves already goes on without the registry"


@pytest.mark.case("X13")
def test_the_servers_login_is_for_what_the_apps_settings_name() -> None:
    given, own, hub = (Credentials(host, "u", "p") for host in ("ghcr.io", "ghcr.io", "docker.io"))
    app = config_of().app("shop")
    assert login_for(app, WEB, None, own) == own
    assert login_for(app, WEB, given, own) is given
    assert login_for(app, WEB, hub, own) == own
    assert login_for(app, WEB, None, hub) is None
    assert login_for(app, SECRET.repository, None, own) is None
    assert login_for(app, SECRET.repository, given, own) is given
    named = replace(app, other_images=("ghcr.io/acme/pay*", "docker.io/library/*"))
    assert login_for(named, SECRET.repository, None, own) == own
    assert login_for(named, "redis", None, hub) == hub
    assert login_for(app, "redis", None, hub) is None
