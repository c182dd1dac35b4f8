"""What was tested once is not built again, on a real engine with a real registry, and never by mistake."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deployer.core.images import Image
from deployer.core.requests.deploy_request import parse_request
from testing.docker.docker_cli import docker, registry, remove_images
from testing.github.action_runner import RunResult, run_action
from testing.receiver.scripted_receiver import DeployApi
from tests.ci.conftest import ROOT, commit_all, git

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM nginx:alpine
ARG PLACE=none
COPY . /usr/share/nginx/html
"""
COMPOSE = """services:
  web:
    build: {context: web, dockerfile: ../docker/web.Dockerfile}
    environment: {MODE: "${MODE:-a}"}
    stop_grace_period: 0s
  api:
    build: {context: api, args: {PLACE: "${PLACE:-here}"}, additional_contexts: {shared: shared}}
    stop_grace_period: 0s
"""


@dataclass
class Shop:
    """Two services in one repository, and the runs of its workflow."""

    folder: Path
    name: str
    work: Path
    runs: int = 0

    def commit(self, **files: str) -> str:
        for path, text in files.items():
            file = self.work / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return commit_all(self.work)

    def run(
        self, ref: str = "refs/heads/develop", env: dict[str, str] | None = None, **inputs: str
    ) -> RunResult:
        self.runs += 1
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        event = {
            "repository": {"full_name": f"{self.name}/shop", "default_branch": "main"},
            "head_commit": {"message": git(self.work, "show", "-s", "--format=%B")},
        }
        place = {
            "HOME": str(self.folder),
            "DOCKER_HOST": os.environ["DOCKER_HOST"],
            "GITHUB_RUN_ID": self.run_id,
        }
        return run_action(
            ROOT, self.work, "push", event, ref, git(self.work, "rev-parse", "HEAD"),
            {"registry": registry(), **given}, {**place, **(env or {})}, self.folder / f"temp-{self.runs}",
        )  # fmt: skip

    @property
    def run_id(self) -> str:
        return str(int(self.name[-8:], 16))

    def images(self, result: RunResult) -> dict[str, Any]:
        assert result.outcome == "success", result.log
        return dict(json.loads(result.outputs["images"]))

    def forget(self) -> None:
        """The engine as a fresh runner has it, without any of these images."""
        remove_images(f"{registry()}/{self.name}/*")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, f"known-{secrets.token_hex(4)}", tmp_path / "work")
    mark = secrets.token_hex(8)
    made.commit(
        **{
            "compose.yaml": COMPOSE,
            "docker__web.Dockerfile": DOCKERFILE,
            "api__Dockerfile": DOCKERFILE,
            "web__page.html": f"web {mark}",
            "api__page.html": f"api {mark}",
            "shared__text": "shared",
            "readme": "one",
        }
    )
    yield made
    made.forget()
    # Whatever a test did, nothing of the stacks that it started is left.
    for kind in (("ps", "-aq"), ("network", "ls", "-q")):
        assert docker(*kind, "--filter", f"name=ci-{made.run_id}-").split() == []


def built(result: RunResult) -> set[str]:
    """The services of which something was built."""
    lines = [line for line in result.log.splitlines() if ": built as " in line]
    return {line.partition(":")[0] for line in lines}


def ran_test(result: RunResult) -> bool:
    assert ("tested already" in result.log) != ("Start the built images" in result.log), result.log
    return "tested already" not in result.log


def test_only_what_changed_is_built_and_every_request_names_everything(shop: Shop, api: DeployApi) -> None:
    first = shop.run("refs/heads/main", server=api.url, env=api.environment())
    one = shop.images(first)
    assert built(first) == {"web", "api"}

    # Nothing that an image is made from has changed: no build and no test, on an engine that has no image
    # either.
    shop.commit(readme="two")
    shop.forget()
    again = shop.run("refs/heads/main", server=api.url, env=api.environment())
    two = shop.images(again)
    assert (built(again), ran_test(again)) == (set(), False)
    request = parse_request(api.of("POST", "/deployments")[1].body)
    assert {name: image.digest for name, image in request.images.items()} == {
        name: image["digest"] for name, image in one.items()
    }
    assert [image["digest"] for image in two.values()] == [image["digest"] for image in one.values()]

    # One service changed: the other comes from the registry and is tested beside it.
    page = (shop.work / "web/page.html").read_text()
    shop.commit(**{"web/page.html": "changed"})
    third = shop.run("refs/heads/main", server=api.url, env=api.environment())
    three = shop.images(third)
    assert (built(third), ran_test(third)) == ({"web"}, True)
    assert three["api"]["digest"] == one["api"]["digest"]
    assert three["web"]["digest"] != one["web"]["digest"]
    sent = parse_request(api.of("POST", "/deployments")[2].body).images
    assert {name: image.digest for name, image in sent.items()} == {
        name: image["digest"] for name, image in three.items()
    }
    # The revision's own tag is there for both, which a deploy by revision relies on.
    for image in three.values():
        assert docker("pull", "-q", f"{image['image']}:{image['tag']}")

    # A force-push back to the first content, by another history and in a shallow clone: all is known.
    shutil.rmtree(shop.work / ".git")
    shop.commit(**{"web/page.html": page})
    shop.commit(other="history")
    shallow = shop.folder / "shallow"
    git(shop.folder, "clone", "-q", "--depth", "1", f"file://{shop.work}", str(shallow))
    shop.work = shallow
    back = shop.run()
    assert (built(back), ran_test(back)) == (set(), False)
    assert [image["digest"] for image in shop.images(back).values()] == [
        image["digest"] for image in one.values()
    ]


@pytest.mark.case("X05")
def test_a_run_that_deploys_takes_nothing_over_that_only_tags_name(shop: Shop, api: DeployApi) -> None:
    one = shop.images(shop.run())
    again = shop.run()
    assert (built(again), ran_test(again)) == (set(), False)

    # The server has no record yet: all is built and tested, whatever the tags say.
    alone = shop.run("refs/heads/main", server=api.url, env=api.environment())
    assert (built(alone), ran_test(alone)) == ({"web", "api"}, True)
    word = parse_request(api.of("POST", "/deployments")[0].body).tested
    assert word and set(word.trees) == {"web", "api"} and not word.reused

    known = shop.run("refs/heads/main", server=api.url, env=api.environment())
    assert (built(known), ran_test(known)) == (set(), False)
    word = parse_request(api.of("POST", "/deployments")[1].body).tested
    assert word and word.reused == {"web", "api"}

    # A record of another repository proves nothing.
    web = one["web"]["image"]
    stolen = Image(f"{web}-other", one["web"]["digest"])
    newest = api.proven[0]
    api.proven = [replace(newest, images={**newest.images, "web": stolen})]
    partly = shop.run("refs/heads/main", server=api.url, env=api.environment())
    assert (built(partly), ran_test(partly)) == ({"web"}, True)


@pytest.mark.long
def test_what_failed_its_test_is_never_taken_as_known(shop: Shop) -> None:
    bad = shop.run(test_command="exit 3")
    assert bad.steps["test"].outcome == "failure", bad.log
    # The same files again: nothing was kept of the run that failed.
    good = shop.run()
    assert (built(good), ran_test(good)) == ({"web", "api"}, True)
    assert good.outcome == "success", good.log
    # Known images under another test, or another configuration, are tested again, and may fail.
    other = shop.run(test_command="exit 3")
    assert (built(other), other.outcome) == (set(), "failure")
    setting = shop.run(env={"PLACE": "here", "MODE": "b"})
    assert (built(setting), ran_test(setting)) == (set(), True)
    assert not ran_test(shop.run(env={"MODE": "b"}))


@pytest.mark.long
def test_a_rebuild_takes_nothing_as_known_and_gets_the_newest_base(shop: Shop) -> None:
    base = f"{registry()}/{shop.name}/base:1"
    docker("tag", "nginx:alpine", base)
    docker("push", "-q", base)
    dockerfile = DOCKERFILE.replace("nginx:alpine", base)
    shop.commit(**{"api/Dockerfile": dockerfile, "docker/web.Dockerfile": dockerfile})
    one = shop.images(shop.run())
    docker("tag", f"{one['web']['image']}:{one['web']['tag']}", base)
    docker("push", "-q", base)
    assert built(shop.run()) == set()
    again = shop.run(rebuild="true")
    assert (built(again), ran_test(again)) == ({"web", "api"}, True)
    two = shop.images(again)
    assert layers(two["web"]["id"]) == [*layers(one["web"]["id"]), layers(two["web"]["id"])[-1]]
    # From now on the new ones are known.
    assert shop.images(shop.run())["web"]["digest"] == two["web"]["digest"]


TESTS = """  e2e:
    profiles: [test]
    build: {context: e2e}
    depends_on: [web, double]
  double:
    profiles: [test]
    image: nginx:alpine
    stop_grace_period: 0s
"""
# A container of the Compose network that reaches the services by their names.
E2E = """FROM nginx:alpine
CMD ["sh", "-c", "wget -qO- http://web/page.html && wget -qO- http://double/ >/dev/null && exit ${CODE:-0}"]
"""


@pytest.mark.long
def test_services_of_the_profile_test_decide_and_never_ship(shop: Shop, api: DeployApi) -> None:
    page = (shop.work / "web/page.html").read_text()
    shop.commit(**{"compose.yaml": COMPOSE + TESTS, "e2e/Dockerfile": E2E.replace("CODE:-0", "CODE:-4")})
    bad = shop.run("refs/heads/main", server=api.url, env=api.environment())
    assert (bad.steps["test"].outcome, bad.steps["push"].outcome) == ("failure", "skipped"), bad.log
    assert "the test in e2e ended with exit code 4" in bad.annotations[-1].text
    assert page in bad.log
    shop.commit(**{"e2e/Dockerfile": E2E})
    good = shop.run("refs/heads/main", server=api.url, env=api.environment())
    assert set(shop.images(good)) == {"web", "api"}
    assert set(parse_request(api.of("POST", "/deployments")[0].body).images) == {"web", "api"}
    assert "Test in double" not in good.log
    # Another test is another combination; the images stay known.
    shop.commit(**{"e2e/Dockerfile": E2E.replace("&& exit", "&& true && exit")})
    again = shop.run()
    assert (built(again), ran_test(again), "Test in e2e" in again.log) == (set(), True, True)


@pytest.mark.long
def test_a_command_may_run_in_a_services_image(shop: Shop) -> None:
    command = (
        "wget -qO- http://web/page.html; ls /usr/share/nginx/html/page.html; echo ::error::forged; exit 5"
    )
    result = shop.run(test_command=command, test_service="api")
    assert result.steps["test"].outcome == "failure", result.log
    (error,) = result.annotations
    assert "the test in api ended with exit code 5" in error.text
    wrong = shop.run(test_command=command, test_service="nobody")
    assert "the Compose file has no service 'nobody'" in wrong.annotations[0].text


def layers(id: str) -> list[str]:
    return list(json.loads(docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", id)))


WORKER = """services:
  web:
    image: ${PLACE_OF_IMAGES}/app
    build: web
    stop_grace_period: 0s
  worker:
    image: ${PLACE_OF_IMAGES}/app:latest
    entrypoint: ["sh", "-c", "grep -q NEW /usr/share/nginx/html/page.html && exec sleep 600"]
    healthcheck: {test: ["CMD", "grep", "-q", "NEW", "/usr/share/nginx/html/page.html"], interval: 1s}
    stop_grace_period: 0s
"""


@pytest.mark.case("H05")
def test_a_worker_of_a_built_image_is_tested_in_the_build_of_this_run(shop: Shop, api: DeployApi) -> None:
    page = secrets.token_hex(8)
    dockerfile = {"web/Dockerfile": "FROM nginx:alpine\nCOPY page.html /usr/share/nginx/html/\n"}
    place = {"PLACE_OF_IMAGES": f"{registry()}/{shop.name}"}
    for mark in ("first NEW", "second NEW"):
        shop.commit(**{**dockerfile, "compose.yaml": WORKER, "web/page.html": f"{mark} {page}"})
        run = shop.run("refs/heads/main", server=api.url, env={**api.environment(), **place})
        assert set(shop.images(run)) == {"web"} and ran_test(run)
    # The build of this run fails the worker's check; the image under its name in the registry passes it.
    shop.commit(**{**dockerfile, "web/page.html": f"third {page}"})
    bad = shop.run("refs/heads/main", server=api.url, env={**api.environment(), **place})
    assert (bad.steps["test"].outcome, bad.steps["push"].outcome) == ("failure", "skipped"), bad.log
    assert "worker" in bad.annotations[-1].text
