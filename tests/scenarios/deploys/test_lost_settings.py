"""Settings of Compose files that used to be lost on the way to the containers, each with the row's id."""

from __future__ import annotations

import pytest

from deployer.core.model import Bundle
from testing.stage import CANARIES, Published, Stage
from tests.scenarios.deploys.test_compose_shapes import CHECK, ECHO, ask, echo, of, ship, written

__all__ = ["echo"]
pytestmark = pytest.mark.engine


def environment_of(stage: Stage, service: str) -> dict[str, str]:
    """The variables of the service's only container."""
    (container,) = of(stage, service)
    lines = container["Config"]["Env"]  # type: ignore[index]
    return dict(line.partition("=")[::2] for line in lines)


@pytest.mark.parametrize(
    "extension",
    [
        "{since: 2024-01-01}",
        "{at: 2001-12-14t21:59:43.10-05:00, ids: [0o17, 0x1F, 1_000, 1:30]}",
        "{words: [yes, ~, '2024-01-01', =, <<], deep: {day: 2024-02-29}}",
    ],
)
def test_v10_a_date_in_an_extension_deploys(stage: Stage, echo: Published, extension: str) -> None:
    text = f"""
        x-owner: {extension}
        services:
          web:
            build: backend
            x-owner: {extension}
            environment: {{MARK: dated}}
            ports: ["{{port}}:3001"]
            {{check}}
    """
    ended = ship(stage, echo, text)
    assert ended["status"] == "success", ended["reason"]
    assert ask(stage)["env"] == "dated"
    assert "nothing to do" in stage.cli("plan", "shop").stdout


WHOLE = f"""\
services:
  backend:
    image: ${{REGISTRY}}/shop-backend
    build: backend
    environment:
      MARK: "${{APP_MARK}}"
      RANKED: "${{RANKED}}"
      URL: "${{URL:-none}}"
      FROM_JOB: "${{FROM_JOB}}"
      EMPTY: "${{NOBODY}}"
      PASSED:
      UNPASSED:
    ports: ["${{API_PORT}}:3001"]
    {CHECK}
"""


def test_v1_what_the_test_was_rendered_with_is_what_is_deployed(stage: Stage) -> None:
    stage.source.write("backend/server.js", ECHO)
    stage.source.write("compose.yaml", WHOLE)
    stage.source.git("rm", "--quiet", ".env.production")
    stage.source.write(".env", 'APP_MARK=x\nRANKED=committed\nURL="pg://$RANKED@${FROM_JOB}"\nEXTRA=$$\n')
    stage.source.release("1.0.0")
    stage.write_variables(RANKED="server")
    run = stage.act("push", "main", FROM_JOB="job", PASSED="it's")
    assert run.outcome == "success", run.log
    found = environment_of(stage, "backend")
    assert (ask(stage)["env"], found["MARK"], found["RANKED"]) == ("x", "x", "server")
    assert (found["FROM_JOB"], found["PASSED"], found["URL"]) == ("job", "it's", "pg://committed@job")
    told = "blank, as nobody gives them a value: NOBODY, UNPASSED"
    assert told in run.log and told in run.summary
    assert told in stage.cli("plan", "shop").stdout


def test_v1_a_webhook_reads_the_repositorys_own_file_too(stage: Stage) -> None:
    other = "  frontend:\n    image: ${REGISTRY}/shop-frontend\n    build: frontend\n"
    stage.source.write("backend/server.js", ECHO)
    stage.source.write("compose.yaml", WHOLE + other)
    stage.source.write(".env.production", "APP_MARK=production\n")
    stage.source.write(".env", "APP_MARK=development\n")
    release = stage.publish("1.0.0")
    done = stage.cli("deploy", "shop", "--revision", release.revision)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ask(stage)["env"] == "production"


def test_v1_the_file_beside_an_included_compose_file_counts(stage: Stage, echo: Published) -> None:
    more = """\
services:
  web:
    build: ../backend
    environment: {MARK: "${MARK_OF_PART}"}
    ports: ["${API_PORT}:3001"]
    """
    files = {
        "compose.yaml": "include: [part/compose.yaml]\n",
        "part/compose.yaml": more + CHECK + "\n",
        "part/.env": "MARK_OF_PART=part\n",
    }
    images = {"web": echo.images["backend"]}
    status, answer = stage.request(echo, images=images, bundle=Bundle("compose.yaml", files))
    assert status == 202, answer
    ended = stage.finished(answer["id"], answer["read_token"])
    assert ended["status"] == "success", ended["reason"]
    assert ask(stage)["env"] == "part"


def test_v4_a_changed_variables_file_is_drift_and_a_redeploy_applies_it(stage: Stage) -> None:
    ended = stage.deploy(stage.publish("1.0.0"))
    assert ended["status"] == "success", ended["reason"]
    assert stage.cli("status", "shop").returncode == 0
    secret = "https://changed.example-5f3a9c71"
    stage.write_variables(CORS_ORIGIN=secret)
    status, plan = stage.cli("status", "shop"), stage.cli("plan", "shop")
    for shown in (status, plan):
        assert "changed variables: CORS_ORIGIN" in shown.stdout and secret not in shown.stdout, shown.stdout
        assert "create  backend" in shown.stdout and "create  frontend" not in shown.stdout
    assert (status.returncode, plan.returncode) == (1, 0)
    done = stage.cli("redeploy", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with changed variables: CORS_ORIGIN" in done.stdout and secret not in done.stdout
    assert environment_of(stage, "backend")["CORS_ORIGIN"] == secret
    again = stage.cli("status", "shop")
    assert again.returncode == 0, again.stdout
    assert "nothing to do" in stage.cli("redeploy", "shop").stdout
    assert stage.cli("rollback", "shop").returncode == 0
    assert environment_of(stage, "backend")["CORS_ORIGIN"] == CANARIES["variable"]
    assert "changed variables: CORS_ORIGIN" in stage.cli("status", "shop").stdout


def test_v4_a_new_a_removed_and_an_overridden_variable_are_judged_alike(
    stage: Stage, echo: Published
) -> None:
    text = REPLICA.replace("{mark}", "${MARK:-none}")
    stage.write_variables(MARK="file")
    assert ship(stage, echo, text)["status"] == "success" and ask(stage)["env"] == "file"
    for given, seen in (({}, "none"), ({"MARK": "new"}, "new")):
        stage.write_variables(**given)
        assert stage.cli("status", "shop").returncode == 1
        assert stage.cli("redeploy", "shop").returncode == 0
        assert (ask(stage)["env"], stage.cli("status", "shop").returncode) == (seen, 0)
    bundle = Bundle("compose.yaml", {"compose.yaml": written(stage, text)})
    images = {"web": echo.images["backend"]}
    status, answer = stage.request(echo, images=images, bundle=bundle, variables={"MARK": "asked"})
    assert status == 202 and stage.finished(answer["id"], answer["read_token"])["status"] == "success"
    stage.write_variables(MARK="newer", UNUSED="x")
    assert stage.cli("status", "shop").returncode == 0, "the request wins"
    assert stage.cli("redeploy", "shop").returncode == 0 and ask(stage)["env"] == "asked"


REPLICA = """
    services:
      web:
        build: backend
        environment: {MARK: "{mark}"}
        ports: ["{port}:3001"]
        {check}
"""
