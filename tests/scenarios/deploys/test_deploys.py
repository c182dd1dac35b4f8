"""Whole deploys through the receiver, on the real engine, with users' requests running."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.request

import pytest

from testing.docker.docker_cli import service_of
from testing.load.http_load import Load
from testing.stage import CANARIES, REPOSITORY, SERVICES, Published, Stage, docker

pytestmark = pytest.mark.engine


def running_images(stage: Stage) -> dict[str, str]:
    """Service → the image id its only container runs."""
    found = {service_of(c): c["Image"] for c in stage.containers()}
    return {service: found[service] for service in SERVICES}


def published_images(release: Published) -> dict[str, str]:
    return {
        service: docker("inspect", "--format", "{{.Id}}", str(image)).strip()
        for service, image in release.images.items()
    }


@pytest.mark.alone
def test_e2_nobody_notices_a_deploy_of_both_services_behind_a_static_nginx(stage: Stage) -> None:
    first, second = stage.publish("1.0.0"), stage.publish("2.0.0")
    assert stage.deploy(first)["status"] == "success"
    with (
        Load(f"{stage.web}/api/version") as through_nginx,
        Load(f"http://127.0.0.1:{stage.api_port}/api/version") as direct,
    ):
        assert stage.deploy(second)["status"] == "success"
    for load in (through_nginx, direct):
        report = load.report
        assert report.losses() == []
        assert report.first("1.0.0") is not None and report.first("2.0.0") is not None
    assert running_images(stage) == published_images(second)


def test_the_same_release_again_touches_no_container(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    stage.deploy(release)
    before = {container["Id"]: container["State"]["StartedAt"] for container in stage.containers()}
    again = stage.deploy(release)
    assert again["status"] == "success", again["reason"]
    assert {container["Id"]: container["State"]["StartedAt"] for container in stage.containers()} == before
    assert "nothing to do" in stage.cli("plan", "shop").stdout


@pytest.mark.case("F10")
@pytest.mark.alone
def test_a_release_that_fails_its_gate_never_serves(stage: Stage) -> None:
    good = stage.publish("1.0.0")
    stage.deploy(good)
    before = running_images(stage)
    stage.source.write("backend/server.js", "throw new Error('PAYMENT_URL is not set');\n")
    bad = stage.publish("2.0.0")
    with Load(f"{stage.web}/api/version") as load:
        ended = stage.deploy(bad)
    assert ended["status"] == "failure"
    assert "service backend exited with code 1" in ended["reason"]
    assert "PAYMENT_URL is not set" in ended["reason"] and "[gate-failed]" in ended["reason"]
    assert f"{good.revision[:7]} serves as before" in ended["reason"]
    assert load.report.losses() == []
    assert load.report.first("2.0.0") is None
    assert running_images(stage) == before
    assert len(stage.containers()) == 3


@pytest.mark.case("F10")
def test_a_first_release_that_fails_leaves_no_container(stage: Stage) -> None:
    stage.source.write("backend/server.js", "process.exit(3);\n")
    ended = stage.deploy(stage.publish("1.0.0"))
    assert ended["status"] == "failure" and "nothing runs" in ended["reason"]
    assert stage.containers() == []


def test_a_rollback_needs_no_registry_and_restores_variables(stage: Stage) -> None:
    first = stage.publish("1.0.0")
    stage.deploy(first)
    stage.write_variables(CORS_ORIGIN="https://new.example.org")
    stage.deploy(stage.publish("2.0.0"))
    for image in first.images.values():
        stage.forget(image)
    done = stage.cli("rollback", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stage.serves() == "1.0.0"
    backend = next(c for c in stage.containers() if service_of(c) == "backend")
    assert f"CORS_ORIGIN={CANARIES['variable']}" in backend["Config"]["Env"]


def test_a_workflow_run_webhook_deploys_what_the_registry_has_for_its_commit(stage: Stage) -> None:
    stage.deploy(stage.publish("1.0.0"))
    release = stage.publish("2.0.0")
    status, answer = stage.workflow_run(release.revision)
    assert status == 202, answer
    ended = stage.finished(answer["id"], stage.token("read"))
    assert ended["status"] == "success", ended
    assert running_images(stage) == published_images(release)


def test_a_webhook_for_a_commit_without_images_fails_before_anything_is_touched(stage: Stage) -> None:
    stage.deploy(stage.publish("1.0.0"))
    before = {container["Id"] for container in stage.containers()}
    _, answer = stage.workflow_run(stage.source.commit("Change the docs"))
    ended = stage.finished(answer["id"], stage.token("read"))
    assert ended["status"] == "failure" and "[image-not-found]" in ended["reason"]
    assert {container["Id"] for container in stage.containers()} == before


def test_github_is_told_in_its_own_words(stage: Stage) -> None:
    stage.deploy(stage.publish("1.0.0"))
    stage.kill(signal.SIGTERM)  # a stopping server sends what waits
    told = [
        status["state"]
        for made in stage.github.deployments(REPOSITORY)
        for status in stage.github.statuses(made["id"])
    ]
    assert told == ["in_progress", "success"]
    assert stage.github.breaches == []


@pytest.mark.long
def test_of_many_requests_during_a_deploy_only_the_newest_runs(stage: Stage) -> None:
    releases = [stage.publish(f"{n}.0.0") for n in range(1, 4)]
    stage.deploy(releases[0])
    answers = [stage.request(release) for release in (*releases, *releases)]
    assert [status for status, _ in answers] == [202] * 6
    last = answers[-1][1]
    assert stage.finished(last["id"], last["read_token"])["status"] == "success"
    rows = json.loads(stage.cli("history", "shop", "--json").stdout)
    assert {row["status"] for row in rows} <= {"success", "inactive"}
    assert sum(row["status"] == "inactive" for row in rows) >= 3
    assert running_images(stage) == published_images(releases[-1])


def test_e4_requests_in_flight_end_well_when_their_replica_is_replaced(stage: Stage) -> None:
    first, second = stage.publish("1.0.0"), stage.publish("2.0.0")
    stage.deploy(first)
    results: list[tuple[int, str]] = []

    def slow() -> None:
        with urllib.request.urlopen(f"{stage.web}/api/slow?ms=3000", timeout=20) as answer:
            results.append((answer.status, "done"))

    threads = [threading.Thread(target=slow) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)  # they are under way, not over: they take three seconds
    assert stage.deploy(second)["status"] == "success"
    for thread in threads:
        thread.join(timeout=30)
    assert results == [(200, "done")] * 5
