"""The way of a deploy where something breaks at a chosen step: what serves afterwards, and what the record
says.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.compose.endpoints import Budget, Endpoint
from deployer.core.config.settings import load_config
from deployer.core.errors import (
    ContainerRefused,
    EdgeUnavailable,
    EngineUnavailable,
    PlansDisagree,
    StoreUnavailable,
)
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import (
    Bundle,
    ContainerState,
    Credentials,
    DeployJob,
    Deployment,
    Health,
    Kind,
    Release,
    Replica,
    Status,
    Trigger,
)
from deployer.core.release.confirmation import ConfirmationVerdict
from deployer.core.rollout.availability import Sample
from deployer.core.rollout.conflicts import Held, Occupied
from deployer.core.rollout.desired_state import DesiredState, Service
from deployer.core.rollout.plan import Plan, Step, Verb
from deployer.core.rollout.planner import plan_rollout
from deployer.core.rollout.readiness import Reading
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.containers.container_target import ContainerTarget
from deployer.deployment.containers.maintenance import reconcile_after, reroute
from deployer.deployment.deploy import deploy
from deployer.deployment.rollout.reconcile import Reconciler
from deployer.deployment.rollout.rollout_setup import RolloutSetup
from deployer.deployment.rollout.startup_times import StartupTimes
from deployer.worker.job_runner import JobRunner
from deployer.worker.maintenance_rounds import MaintenanceRounds
from testing.compose_models import application, image, shop
from testing.receiver.in_memory_target import MemoryTarget, MemoryWatch, in_memory_context, in_memory_host

SETTINGS: dict[str, Any] = {
    "server": {"url": "https://deploy.example.com", "state": "/nowhere", "deadline": 100},
    "apps": {
        "shop": {
            "repository": "acme/shop",
            "repository-id": 1,
            "owner-id": 2,
            "environments": {"production": {}},
        }
    },
}


class FastClock:
    """A clock that goes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.meanwhile: Callable[[], object] = lambda: None

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += max(seconds, 0.5)
        self.meanwhile()


class NoRegistry:
    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        return ImageConfig()

    def judge(self, repository: str) -> None:
        return

    def require(self, image: Image, credentials: Credentials | None) -> None:
        return

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        raise AssertionError("a request that brings its images asks no registry")

    def layers(self, image: Image, credentials: Credentials | None) -> dict[str, int]:
        return {"base": 50_000_000, image.digest: 1_000_000}


class Scene:
    """A world around a target in memory, with a real store."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "deployer.db", open_secret_store(folder / "key"))
        self.target = MemoryTarget(shop())
        self.clock = FastClock()
        self.context = in_memory_context(
            self.target,
            config=load_config(SETTINGS),
            store=self.store,
            registry=NoRegistry(),
            github=NoGitHub(),
            clock=self.clock,
            variables=lambda *_: {"DATABASE_URL": "postgres://u:hunter22@db"},
        )

    def deploy(self, marks: str, **jobs: Any) -> Deployment:
        images = {"backend": image("backend", marks[0]), "frontend": image("frontend", marks[1])}
        job = DeployJob(
            app="shop",
            environment="production",
            kind=Kind.DEPLOY,
            trigger=Trigger.API,
            actor="ada",
            revision=(marks[0] * 40)[:40],
            bundle=Bundle("compose.yaml", {"compose.yaml": "services: {}\n"}),
            **({"images": images} | jobs),
        )
        self.store.queue.enqueue(job, self.clock.now())
        self.target.calls.clear()
        claimed = self.store.queue.claim(self.clock.now())
        assert claimed
        return deploy(*claimed, self.context)

    @property
    def containers(self) -> ContainerContext:
        target = self.context.target
        assert isinstance(target, ContainerTarget)
        return target.context

    def allow(self, *granted: str) -> None:
        """Other settings from now on, also for a deployment that is under way."""
        settings = copy.deepcopy(SETTINGS)
        settings["apps"]["shop"]["environments"]["production"]["allow"] = list(granted)
        for context in (self.context, self.containers):
            object.__setattr__(context, "config", load_config(settings))

    def marks(self) -> str:
        """Whose images requests reach: backend's mark, then frontend's."""
        serving = self.target.serving()
        return "".join(serving[name][0][7] if name in serving else "-" for name in ("backend", "frontend"))

    def story(self, deployment: Deployment) -> list[str]:
        return [f"{event.kind} {event.text}" for event in self.store.events.read(deployment.id)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.store.close()


def test_a_model_that_asks_for_more_than_the_settings_grant_touches_nothing(scene: Scene) -> None:
    scene.deploy("aa")
    scene.target.model["services"]["backend"]["privileged"] = True
    refused = scene.deploy("bb")
    assert refused.status is Status.FAILURE and "[power-refused]" in refused.reason
    assert any(line.startswith("hint ") and "allow = " in line for line in scene.story(refused))
    assert scene.marks() == "aa" and scene.target.calls == []


def test_a_forged_row_deploys_no_foreign_image_and_no_other_apps_release(scene: Scene) -> None:
    """As a web process that was taken over could write it; nothing of what the door checks holds for it."""
    scene.deploy("aa")
    forged = DeployJob(
        "shop",
        "production",
        Kind.DEPLOY,
        Trigger.ACTION,
        "ada",
        "b" * 40,
        images={"backend": Image("evil.example/x", image("backend", "b").digest)},
        bundle=Bundle("compose.yaml", {"compose.yaml": ""}),
    )
    other = scene.store.releases.save(
        scene.store.deployments.history("shop", "production")[0].id,
        Release("", "bank", "c" * 40, {}, forged.bundle or Bundle("", {}), {}),
        1.0,
    )
    for job, reason in (
        (forged, "evil.example/x is not an image repository of shop"),
        (
            DeployJob("shop", "production", Kind.ROLLBACK, Trigger.API, "ada", release=other.id),
            "shop has no release",
        ),
    ):
        scene.store.queue.enqueue(job, scene.clock.now())
        scene.target.calls.clear()
        claimed = scene.store.queue.claim(scene.clock.now())
        assert claimed
        ended = deploy(*claimed, scene.context)
        assert ended.status is Status.ERROR and reason in ended.reason
        assert scene.marks() == "aa" and scene.target.calls == []


def test_what_served_comes_back_under_settings_that_became_stricter(scene: Scene) -> None:
    scene.target.model["services"]["backend"]["privileged"] = True
    scene.allow("privileged")
    scene.deploy("aa")
    scene.target.sick = {service.spec for service in application("bb", dict(scene.target.model)).services}
    start = scene.target.start

    def start_and_tighten(project: str, replicas: Sequence[Replica]) -> None:
        scene.allow()
        start(project, replicas)

    scene.target.start = start_and_tighten  # type: ignore[method-assign]
    failed = scene.deploy("bb")
    assert failed.status is Status.FAILURE and "serves as before" in failed.reason
    assert scene.marks() == "aa"


def test_new_before_old(scene: Scene) -> None:
    assert scene.deploy("ab").status is Status.SUCCESS
    assert scene.deploy("cd").status is Status.SUCCESS
    assert scene.target.calls == [
        "pull",
        "pull",
        "fetch_edge",
        "create backend frontend",
        "start backend",
        "start frontend",
        "route backend frontend",
        "stop backend",
        "stop frontend",
        "remove backend",
        "remove frontend",
        "settle",
    ]
    assert scene.marks() == "cd"


def test_a_release_that_never_answers_is_refused_and_the_one_before_was_never_left(scene: Scene) -> None:
    scene.deploy("ab")
    scene.target.sick = {_spec(scene, "cb", "backend")}
    ended = scene.deploy("cb")
    assert ended.status is Status.FAILURE and "[gate-failed]" in ended.reason
    assert "aaaaaaa serves as before" in ended.reason
    assert not any(call.startswith("route") and "frontend" in call for call in scene.target.calls)
    assert scene.marks() == "ab"


def test_what_a_replica_printed_is_told_without_its_secrets(scene: Scene) -> None:
    scene.deploy("ab")
    scene.target.sick = {_spec(scene, "cb", "backend")}
    ended = scene.deploy("cb")
    told = "\n".join([*scene.story(ended), ended.reason])
    assert "it said: Error: no database at [redacted]" in told
    assert "hunter22" not in told


@pytest.mark.parametrize("call", ["create", "start", "route"])
def test_what_breaks_before_the_switch_leaves_the_release_before(scene: Scene, call: str) -> None:
    scene.deploy("ab")
    scene.target.breaks = {call: EngineUnavailable("the engine hung up")}
    ended = scene.deploy("cd")
    assert ended.status is Status.ERROR and "[engine-unavailable]" in ended.reason
    assert scene.marks() == "ab"
    scene.target.breaks = {}
    assert scene.deploy("ef").status is Status.SUCCESS
    assert scene.marks() == "ef"
    assert len(scene.target.replicas) == 3


@pytest.mark.parametrize("call", ["sessions", "stop", "remove", "settle"])
def test_what_breaks_after_the_switch_takes_nothing_back(scene: Scene, call: str) -> None:
    scene.deploy("ab")
    scene.target.breaks = {call: EdgeUnavailable("no answer")}
    ended = scene.deploy("cd")
    assert ended.status is Status.SUCCESS
    assert any(line.startswith("untidy the release serves") for line in scene.story(ended))
    assert scene.marks() == "cd"
    scene.target.breaks = {}
    scene.deploy("cd")
    assert len(scene.target.replicas) == 3


def test_a_pull_that_fails_touches_nothing(scene: Scene) -> None:
    scene.deploy("ab")
    scene.target.breaks = {"pull": EngineUnavailable("gone")}
    assert scene.deploy("cd").status is Status.ERROR
    assert set(scene.target.calls) == {"pull"}


def test_requests_that_do_not_end_are_left_at_the_limit(scene: Scene) -> None:
    scene.deploy("ab")
    scene.target.in_flight = 3
    ended = scene.deploy("cb")
    assert ended.status is Status.SUCCESS
    assert any("3 requests still run after 30 s" in line for line in scene.story(ended))


def confirming(scene: Scene, verdict: ConfirmationVerdict) -> Callable[[], object]:
    """Says the word while the release serves and nothing old was stopped."""

    def say_it() -> None:
        waiting = scene.store.deployments.history("shop", "production", 1)[0].id
        if not scene.store.confirmations.read(waiting).awaited(scene.clock.now()):
            return
        assert scene.marks() == "cd" and len(scene.target.replicas) == 5
        scene.store.confirmations.record_verdict(waiting, verdict, "the checkout", scene.clock.now())

    return say_it


def test_a_release_that_is_confirmed_stays(scene: Scene) -> None:
    scene.deploy("ab")
    scene.clock.meanwhile = confirming(scene, ConfirmationVerdict.CONFIRMED)
    ended = scene.deploy("cd", confirm=60)
    assert (ended.status, ended.previous) == (Status.SUCCESS, "a" * 40)
    assert scene.marks() == "cd" and len(scene.target.replicas) == 3
    kinds = [line.partition(" ")[0] for line in scene.story(ended)]
    told = [kind for kind in kinds if kind in ("switch", "confirm", "word", "confirmed", "drain")]
    assert told == ["switch", "confirm", "word", "confirmed", "drain", "drain"]


def test_a_release_that_is_refused_gives_way_to_the_one_before(scene: Scene) -> None:
    scene.deploy("ab")
    scene.clock.meanwhile = confirming(scene, ConfirmationVerdict.FAILED)
    ended = scene.deploy("cd", confirm=60)
    assert ended.status is Status.FAILURE and "[confirmation-failed]" in ended.reason
    assert "not confirmed: the checkout" in ended.reason and "aaaaaaa serves as before" in ended.reason
    assert scene.marks() == "ab" and len(scene.target.replicas) == 3


def test_a_release_that_nobody_confirms_gives_way_in_time(scene: Scene) -> None:
    scene.deploy("ab")
    begun = scene.clock.time
    ended = scene.deploy("cd", confirm=60)
    assert ended.status is Status.FAILURE and "was not confirmed in time" in ended.reason
    assert 60 <= scene.clock.time - begun < 70
    assert scene.marks() == "ab" and len(scene.target.replicas) == 3


def test_a_way_back_and_a_redeploy_wait_for_no_word(scene: Scene) -> None:
    scene.deploy("ab")
    begun = scene.clock.time
    assert scene.deploy("cd").status is Status.SUCCESS
    assert scene.clock.time - begun < 10


def steady(scene: Scene, *, lost: int = 0, budget: Budget | None = None) -> None:
    """What the watch will see: two seconds from now on, every 20 ms, in whose middle `lost` requests fail."""
    endpoint = Endpoint("frontend", "127.0.0.1", 8080, True, "/", budget or Budget())
    begun = scene.clock.time
    scene.target.seen = {
        endpoint: [Sample(begun + n * 0.02, 0.001, not 50 <= n < 50 + lost) for n in range(100)],
    }


def budgeted(scene: Scene) -> None:
    scene.target.model["services"]["frontend"]["x-deployer"] = {"max-failed": 0}


def test_what_users_noticed_is_in_the_record_and_the_story(scene: Scene) -> None:
    scene.deploy("ab")
    steady(scene, lost=3)
    ended = scene.deploy("cd")
    assert ended.status is Status.SUCCESS and ended.measured
    assert (ended.measured.requests, ended.measured.failed) == (100, 3)
    assert scene.store.deployments.get(ended.id).measured == ended.measured
    assert any(line.startswith("measured frontend: 3 of 100 requests failed") for line in scene.story(ended))


def test_a_deploy_that_costs_more_than_it_may_is_taken_back(scene: Scene) -> None:
    budgeted(scene)
    scene.deploy("ab")
    steady(scene, lost=3, budget=Budget(max_failed=0))
    ended = scene.deploy("cd")
    assert ended.status is Status.FAILURE
    assert "frontend: 3 requests failed, at most 0 may [budget-exceeded]" in ended.reason
    assert "aaaaaaa serves as before" in ended.reason and ended.measured
    assert scene.marks() == "ab" and len(scene.target.replicas) == 3
    assert "remove backend" in scene.target.calls[-4:]


class Unanswered(Mapping[Endpoint, Sequence[Sample]]):
    """What a watch sees when nothing that is asked from now on is ever answered: lost after two seconds."""

    def __init__(self, endpoint: Endpoint, clock: FastClock) -> None:
        self._endpoint, self._clock, self._begun = endpoint, clock, clock.time

    def __getitem__(self, endpoint: Endpoint) -> Sequence[Sample]:
        good = [Sample(self._begun - 1 + n * 0.02, 0.001, True) for n in range(50)]
        asked = (self._begun + n * 0.02 for n in range(500))
        return good + [Sample(at, 2.0, False) for at in asked if at + 2.0 <= self._clock.time]

    def __iter__(self) -> Iterator[Endpoint]:
        return iter([self._endpoint])

    def __len__(self) -> int:
        return 1


def test_a_release_that_never_answers_its_users_is_waited_for_and_taken_back(scene: Scene) -> None:
    budgeted(scene)
    scene.deploy("ab")
    endpoint = Endpoint("frontend", "127.0.0.1", 8080, True, "/", Budget(max_failed=0))
    scene.target.seen = Unanswered(endpoint, scene.clock)
    ended = scene.deploy("cd")
    assert ended.status is Status.FAILURE and "[budget-exceeded]" in ended.reason, ended.reason
    assert scene.marks() == "ab"


def test_a_deploy_within_its_budget_stays(scene: Scene) -> None:
    budgeted(scene)
    scene.deploy("ab")
    steady(scene, budget=Budget(max_failed=0, max_gap_ms=5000.0))
    assert scene.deploy("cd").status is Status.SUCCESS


def test_nothing_is_measured_where_nothing_is_done(scene: Scene) -> None:
    scene.deploy("ab")
    steady(scene)
    assert scene.deploy("ab").measured is None


def test_a_bug_is_recorded_and_undone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.deploy("ab")

    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(scene.target, "start", broken)
    ended = scene.deploy("cd")
    assert ended.status is Status.ERROR and "the deployer broke (KeyError)" in ended.reason
    assert scene.marks() == "ab"


def test_a_record_that_cannot_be_written_is_tried_until_it_can(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, tries = scene.store.queue.finish, []

    def flaky(*arguments: Any) -> Deployment:
        tries.append(1)
        if len(tries) < 4:
            raise StoreUnavailable("disk full")
        return finish(*arguments)

    monkeypatch.setattr(scene.store.queue, "finish", flaky)
    assert scene.deploy("ab").status is Status.SUCCESS
    assert len(tries) == 4


def test_an_app_that_left_the_settings_ends_its_deployment(scene: Scene) -> None:
    config = dataclasses.replace(scene.context.config, apps={})
    scene.context = dataclasses.replace(scene.context, config=config)
    ended = scene.deploy("ab")
    assert ended.status is Status.ERROR and "[not-found]" in ended.reason


def test_a_deployment_given_up_is_undone_by_the_worker(scene: Scene) -> None:
    scene.deploy("ab")
    jobs = JobRunner(scene.context)
    again = DeployJob("shop", "production", Kind.REDEPLOY, Trigger.API, "ada")
    scene.store.queue.enqueue(again, scene.clock.now())
    for _ in range(3):
        assert scene.store.queue.claim(scene.clock.now())
        jobs.recover()
    scene.target.calls.clear()
    assert jobs.run_once()
    assert scene.store.deployments.history("shop", "production", 1)[0].status is Status.ERROR
    assert scene.marks() == "ab"
    assert not jobs.run_once()


def test_the_watch_routes_what_answers_and_nothing_else(scene: Scene) -> None:
    scene.deploy("ab")
    app = scene.context.config.app("shop")
    environment = app.environment("production")
    assert reroute(app, environment, scene.containers) == []
    for replica in list(scene.target.replicas.values()):
        if replica.service != "deployer-edge":
            scene.target.replicas[replica.id] = dataclasses.replace(replica, serving=False, restarts=1)
    scene.target.sick = {_spec(scene, "ab", "frontend")}
    scene.target.calls.clear()
    assert reroute(app, environment, scene.containers) == ["backend"]
    assert scene.target.calls == ["route backend"]


def test_an_engine_that_goes_away_and_comes_back_is_said_once_each(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = MaintenanceRounds(scene.context)
    with caplog.at_level("INFO", "deployer.worker"):
        rounds.look_at_target()
        scene.target.breaks["answers"] = EngineUnavailable("away")
        for _ in range(3):
            rounds.look_at_target()
        assert not rounds.reaches
        del scene.target.breaks["answers"]
        for _ in range(3):
            rounds.look_at_target()
    assert rounds.reaches
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Docker does not answer",
        "Docker answers again",
    ]


def _spec(scene: Scene, marks: str, service: str) -> str:
    found = application(marks).service(service)
    assert found
    return found.spec


def foreign_replica() -> Replica:
    """A container that Compose recreates by hand, under its name for the time in between."""
    state, health = ContainerState.CREATED, Health.NONE
    return Replica("x", "x_shop-backend-1", "backend", "", state, health, "sha256:0", "")


def fell(scene: Scene, service: str) -> None:
    """As `docker compose` by hand does."""
    for id in [one.id for one in scene.target.replicas.values() if one.service == service]:
        del scene.target.replicas[id]


def felling(scene: Scene, times: int) -> Callable[[DesiredState], None]:
    """Somebody who takes the backend away so many times, whenever a rollout is over."""
    reconcile = scene.target.reconcile
    left = itertools.count(times, -1)

    def then_fell(app: DesiredState) -> None:
        reconcile(app)
        if next(left) > 0:
            fell(scene, "backend")

    return then_fell


def test_what_somebody_took_away_meanwhile_is_made_again(scene: Scene) -> None:
    scene.deploy("aa")
    scene.target.reconcile = felling(scene, 2)  # type: ignore[method-assign, assignment]
    ended = scene.deploy("ba")
    assert ended.status is Status.SUCCESS and scene.marks() == "ba"
    assert any(line.startswith("settle another program changed") for line in scene.story(ended))


def test_somebody_who_never_ends_is_named(scene: Scene) -> None:
    scene.deploy("aa")
    scene.target.reconcile = felling(scene, 1000)  # type: ignore[method-assign, assignment]
    ended = scene.deploy("ba")
    assert ended.status is Status.ERROR and "another program keeps changing shop's containers" in ended.reason
    assert "`docker compose up` by hand" in ended.reason


@pytest.mark.case("H01")
def test_settling_gives_up_where_its_own_plans_undo_each_other(scene: Scene) -> None:
    ended = scene.deploy("aa")
    fell(scene, "backend")
    app, told = application("aa"), list[str]()
    anew = plan_rollout(app, scene.target.observe("shop"), tasks=False)
    away = Plan("shop", (Step(Verb.RETIRE, "backend", 0, "its host port moves to frontend"),))
    clock = scene.clock
    times = StartupTimes(ended, scene.store.startup_durations, clock)
    setup = RolloutSetup(
        app, in_memory_host(scene.target), clock, Told(told), times, set(), clock.monotonic() + 60
    )
    reconciler = Reconciler(setup, [anew, away])
    assert reconciler.needed and not reconciler.disturbed
    with pytest.raises(PlansDisagree, match="undo each other"):
        reconciler.run()
    assert told[0].startswith("settle the previous plan left it unfinished; shop: ")


@dataclasses.dataclass(frozen=True)
class Told:
    """A journal in memory."""

    told: list[str]

    def record(self, kind: str, text: str) -> None:
        self.told.append(f"{kind} {text}")

    def redact(self, text: str) -> str:
        return text


def test_what_compose_made_after_the_end_is_replaced_within_a_minute(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    ended = scene.deploy("aa")
    environment = scene.context.config.app("shop").environment("production")

    def reconcile() -> bool:
        return reconcile_after(ended, environment, scene.containers)

    assert not reconcile()
    fell(scene, "backend")
    assert not reconcile(), "what somebody took away stays away"
    foreign = foreign_replica()
    scene.target.replicas["x"] = foreign
    assert reconcile() and scene.marks() == "aa" and "x" not in scene.target.replicas
    told = caplog.records[0]
    assert ": settle: another program changed containers" in told.getMessage()
    assert vars(told)["facts"]["event"] == "settled-after"
    scene.target.replicas["x"] = foreign
    scene.clock.sleep(61)
    assert not reconcile() and "x" in scene.target.replicas


def test_what_somebody_left_over_is_untidy_while_the_release_serves(scene: Scene) -> None:
    scene.deploy("aa")
    scene.target.breaks = {"remove": EngineUnavailable("removal is in progress")}
    reconcile = scene.target.reconcile

    def add(app: DesiredState) -> None:
        reconcile(app)
        foreign = foreign_replica()
        scene.target.replicas["x"] = foreign

    scene.target.reconcile = add  # type: ignore[method-assign, assignment]
    scene.target.replicas["y"] = Replica(
        "y", "shop-y", "y", "", ContainerState.EXITED, Health.NONE, "sha256:0", ""
    )
    ended = scene.deploy("aa")
    assert ended.status is Status.SUCCESS and scene.marks() == "aa"


def test_the_way_back_waits_for_whoever_is_at_work(scene: Scene) -> None:
    scene.deploy("aa")
    start, left = scene.target.start, itertools.count(3, -1)

    def taken(project: str, replicas: Sequence[Replica]) -> None:
        if next(left) > 0:
            fell(scene, "backend")
            raise ContainerRefused("the name is in use")
        start(project, replicas)

    scene.target.start = taken  # type: ignore[method-assign]
    ended = scene.deploy("ba")
    assert ended.status is Status.FAILURE and "the name is in use" in ended.reason
    assert "serves as before; somebody else" in ended.reason
    assert scene.marks() == "aa" and len(scene.target.replicas) == 3


def test_the_way_back_waits_for_whoever_made_containers_meanwhile(scene: Scene) -> None:
    """Nothing is missing yet when it ends: Compose by hand still stops what served before."""
    scene.deploy("aa")
    read, clock = scene.target.read, scene.clock

    def taken(project: str, service: Service, replica: Replica) -> Reading:
        foreign = foreign_replica()
        scene.target.replicas["x"] = foreign
        scene.target.read = read  # type: ignore[method-assign]
        clock.meanwhile = once(lambda: fell(scene, "backend"))
        return Reading(ContainerState.REMOVED, Health.NONE)

    scene.target.read = taken  # type: ignore[method-assign]
    ended = scene.deploy("ba")
    assert ended.status is Status.FAILURE and "was removed by somebody else" in ended.reason
    assert scene.marks() == "aa" and len(scene.target.replicas) == 3


def once(act: Callable[[], object]) -> Callable[[], object]:
    left = [act]

    def acting() -> None:
        while left:
            left.pop()()

    return acting


def stop_first(scene: Scene) -> None:
    scene.target.model["services"]["backend"]["x-deployer"] = {"order": "stop-first"}


def backends(scene: Scene) -> list[str]:
    """Marks of the running ones' images."""
    replicas = scene.target.replicas.values()
    return [one.digest[7] for one in replicas if one.service == "backend" and one.running]


@pytest.mark.parametrize("refused", [True, False])
def test_a_broken_image_never_takes_a_stop_first_service_down(scene: Scene, refused: bool) -> None:
    stop_first(scene)
    scene.deploy("aa")
    scene.target.broken_copies, scene.target.refuses_copies = {"new"}, refused
    ended = scene.deploy("ba")
    assert ended.status is Status.FAILURE and "a copy of the new one" in ended.reason
    word = "cannot be started: no such program" if refused else "ends at once with code 5; it said: Error: no"
    assert word in ended.reason and "hunter22" not in ended.reason
    assert "stop backend" not in scene.target.calls and backends(scene) == ["a"]
    assert len(scene.target.replicas) == 3


def test_a_copy_that_says_nothing_stops_no_deploy(scene: Scene) -> None:
    stop_first(scene)
    scene.deploy("aa")
    scene.target.broken_copies = {"new", "old"}
    ended = scene.deploy("ba")
    assert ended.status is Status.SUCCESS and backends(scene) == ["b"]
    assert any("no result for backend" in line for line in scene.story(ended))
    scene.target.broken_copies = set()
    ended = scene.deploy("ca")
    assert any("a copy of the new backend starts" in line for line in scene.story(ended))


def test_an_old_replica_that_may_not_be_copied_any_more_stops_no_deploy(scene: Scene) -> None:
    stop_first(scene)
    scene.deploy("aa")
    scene.target.broken_copies, scene.target.forbidden_copies = {"new"}, {"old"}
    ended = scene.deploy("ba")
    assert ended.status is Status.SUCCESS and backends(scene) == ["b"]
    told = "no result for backend: a copy of the old one has powers that are not granted any more"
    assert any(told in line for line in scene.story(ended))


def test_a_new_replica_that_may_not_be_copied_never_takes_the_old_one_down(scene: Scene) -> None:
    stop_first(scene)
    scene.deploy("aa")
    scene.target.forbidden_copies = {"new"}
    ended = scene.deploy("ba")
    assert ended.status is Status.FAILURE and "cap_add:SYS_ADMIN" in ended.reason
    assert "stop backend" not in scene.target.calls and backends(scene) == ["a"]


def stubborn(scene: Scene, graces: list[float]) -> None:
    """Every process ignores its stop signal: it ends when it is killed."""
    stop = scene.target.stop

    def stop_late(project: str, replica: Replica, grace: float) -> None:
        graces.append(grace)
        scene.clock.time += grace
        stop(project, replica, grace)

    scene.target.stop = stop_late  # type: ignore[method-assign]


@pytest.mark.case("X12")
@pytest.mark.parametrize("grace", ["3000h", "101s", "1h"])
def test_a_process_that_ignores_its_stop_signal_holds_no_worker_past_the_deadline(
    scene: Scene, grace: str
) -> None:
    scene.allow("stop_grace_period")
    for service in scene.target.model["services"].values():
        service["stop_grace_period"] = grace
    scene.deploy("aa")
    graces: list[float] = []
    stubborn(scene, graces)
    begun = scene.clock.time
    ended = scene.deploy("bb")
    assert ended.status is Status.SUCCESS and scene.marks() == "bb"
    assert len(graces) == 2 and min(graces) == 10.0 and scene.clock.time - begun < 100 + 2 * 12
    told = [line for line in scene.story(ended) if "was killed after" in line]
    assert len(told) == 2 and all("the deployment's deadline): it did not exit" in line for line in told)


def test_a_grace_within_the_deadline_is_given_in_full(scene: Scene) -> None:
    scene.target.model["services"]["backend"]["stop_grace_period"] = "40s"
    scene.target.model["services"]["frontend"]["stop_grace_period"] = "3s"
    scene.deploy("aa")
    graces: list[float] = []
    stubborn(scene, graces)
    ended = scene.deploy("bb")
    assert sorted(graces) == [3.0, 40.0]
    assert any("was killed after 40 s: it did not" in line for line in scene.story(ended))


@pytest.mark.case("X12")
def test_settling_ends_with_the_deadline_whatever_the_grace(scene: Scene) -> None:
    scene.allow("stop_grace_period")
    scene.target.model["services"]["backend"]["stop_grace_period"] = "3000h"
    scene.deploy("aa")
    scene.target.reconcile = felling(scene, 1)  # type: ignore[method-assign, assignment]
    begun = scene.clock.time
    ended = scene.deploy("ba")
    assert ended.status is Status.SUCCESS and scene.marks() == "ba"
    assert any(line.startswith("settle ") for line in scene.story(ended))
    assert scene.clock.time - begun < 115


@pytest.mark.case("X12")
@pytest.mark.parametrize("delay", ["9999h", "100s", "1000000h"])
def test_a_pause_beyond_the_deadline_is_left_out_and_told(scene: Scene, delay: str) -> None:
    deploying = {"replicas": 3, "update_config": {"parallelism": 1, "delay": delay}}
    scene.target.model["services"]["backend"]["deploy"] = deploying
    scene.deploy("aa")
    begun = scene.clock.time
    ended = scene.deploy("ba")
    assert ended.status is Status.SUCCESS and scene.marks() == "ba"
    assert sum("before this batch: the deployment's deadline" in line for line in scene.story(ended)) == 2
    assert scene.clock.time - begun < 100


def test_a_pause_within_the_deadline_is_kept(scene: Scene) -> None:
    deploying = {"replicas": 3, "update_config": {"parallelism": 1, "delay": "20s"}}
    scene.target.model["services"]["backend"]["deploy"] = deploying
    scene.deploy("aa")
    begun = scene.clock.time
    ended = scene.deploy("ba")
    assert ended.status is Status.SUCCESS and scene.clock.time - begun >= 40
    assert not any("no pause" in line for line in scene.story(ended))


@pytest.mark.case("X12")
@pytest.mark.parametrize("address", ["127.0.0.1", "", "172.17.0.1"])
def test_a_port_of_another_is_refused_before_a_request_goes_there_and_before_a_pull(
    scene: Scene, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[Endpoint]] = []
    watch = scene.target.watch

    def watching(endpoints: Sequence[Endpoint]) -> MemoryWatch:
        asked.append(endpoints)
        return watch(endpoints)

    monkeypatch.setattr(scene.target, "watch", watching)
    scene.deploy("aa")
    assert len(asked) == 1
    port = {"target": 3001, "published": "6379", "protocol": "tcp", "host_ip": address}
    scene.target.model["services"]["backend"]["ports"] = [port]
    scene.target.taken = Occupied((Held(address, 6379, "tcp"),))
    refused = scene.deploy("ba")
    assert refused.status is Status.FAILURE and "[port-taken]" in refused.reason
    assert len(asked) == 1 and scene.target.calls == [] and scene.marks() == "aa"


def test_a_deploy_that_changes_nothing_asks_for_no_conflicts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.deploy("aa")

    def occupied(project: str) -> Occupied:
        raise AssertionError(f"{project} is asked for")

    monkeypatch.setattr(scene.target, "occupied", occupied)
    assert scene.deploy("aa").status is Status.SUCCESS


@pytest.mark.case("X12")
def test_of_more_ports_than_may_be_asked_the_rest_is_told(scene: Scene) -> None:
    ports = [{"target": n, "published": str(n), "protocol": "tcp"} for n in range(20_000, 20_100)]
    scene.target.model["services"]["backend"]["ports"] = ports
    ended = scene.deploy("aa")
    assert "measured 37 of 101 published ports are not probed, 64 are" in scene.story(ended)
