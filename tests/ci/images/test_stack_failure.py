"""Each cause for which a test's stack does not run has its own line and its own remedy."""

from __future__ import annotations

import pytest

from deployer.ci.images.stack_failure import Failure, find_cause, telling_line

NODE = """/app/server.js:3
  throw new Error("DATABASE_URL is not set")
  ^

Error: DATABASE_URL is not set
    at Object.<anonymous> (/app/server.js:3:9)

Node.js v20.11.1
"""
PYTHON = """Traceback (most recent call last):
  File "/app/main.py", line 2, in <module>
    key = os.environ["SECRET_KEY"]
KeyError: 'SECRET_KEY'
"""
GO = "2026/01/01 10:00:00 starting\npanic: env REDIS_URL is required\n\ngoroutine 1 [running]:\nmain.main()\n"
DAEMON = "Error response from daemon: "


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        (NODE, "Error: DATABASE_URL is not set"),
        (PYTHON, "KeyError: 'SECRET_KEY'"),
        (GO, "panic: env REDIS_URL is required"),
        ("ready\nstopping\n", "stopping"),
        ("", ""),
        ("x" * 900, "x" * 300),
    ],
)
def test_t3_the_line_that_names_the_cause_is_quoted(printed: str, line: str) -> None:
    assert telling_line(printed) == line


@pytest.mark.parametrize(
    ("printed", "name"), [(NODE, "DATABASE_URL"), (PYTHON, "SECRET_KEY"), (GO, "REDIS_URL")]
)
def test_t3_a_variable_without_a_value_is_named_with_the_lines_to_write(printed: str, name: str) -> None:
    failure = Failure("web", "exited with code 1", 1, printed)
    cause = find_cause([failure], "container web exited (1)", {"web": {"environment": {name: ""}}})
    assert f"{name} has no value in the test" in cause.hint and f"${{{name}:-}}" in cause.hint
    given = find_cause([failure], "container web exited (1)", {"web": {"environment": {name: "x"}}})
    assert name not in given.hint and "its log is above" in given.hint


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            f'{DAEMON}invalid mount config for type "bind": bind source path does not exist: /w/key',
            "earlier step",
        ),
        (f'{DAEMON}failed to create task: exec: "serve": executable file not found in $PATH', "entrypoint:"),
        (f"{DAEMON}pull access denied for acme/web, repository does not exist", "registry-username"),
        (f"{DAEMON}manifest for 127.0.0.1:5000/x:latest not found: manifest unknown", "registry-username"),
        (f"{DAEMON}could not find an available, non-overlapping IPv4 address pool", "network prune"),
        ("failed to register layer: write /x: no space left on device", "disk is full"),
        ("something nobody has seen", "Compose's words"),
    ],
)
def test_t3_what_compose_says_has_its_remedy(words: str, hint: str) -> None:
    cause = find_cause([], f"pulling\n{words}\n\n", {})
    assert cause.message == words and hint in cause.hint


@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        (Failure("web", "exited with code 0", 0, "done"), "service_completed_successfully"),
        (Failure("web", "exited with code 137", 137, ""), "memory"),
        (Failure("web", "exited with code 1", 1, "exec /bin/app: exec format error"), "platform:"),
        (Failure("web", "unhealthy", None, "curl: (7) Failed to connect"), "health check"),
        (Failure("web", "starting", None, ""), "start_period"),
    ],
)
def test_t3_how_a_container_ended_has_its_remedy(failure: Failure, hint: str) -> None:
    assert hint in find_cause([failure], "container x", {}).hint


def test_t3_the_failure_that_explains_the_others_comes_with_its_hint() -> None:
    waits = Failure("web", "created", None, "")
    ended = Failure("job", "exited with code 0", 0, "")
    unwell = Failure("db", "unhealthy", None, "no table")
    broken = Failure("api", "exited with code 2", 2, "exec format error")
    assert "platform:" in find_cause([waits, ended, unwell, broken], "", {}).hint
    assert "service_completed" in find_cause([waits, unwell, ended], "", {}).hint
    assert (
        find_cause([waits, broken], "", {}).message
        == "web is created, api exited with code 2: exec format error"
    )
