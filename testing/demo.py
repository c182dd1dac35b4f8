"""The demo behind `script/demo`: every part is real, every figure is measured in this run. In: argv. Out:
exit code.

A chapter that fails ends the demo with exit code 1: the demo is a test that people can watch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testing.docker.docker_cli import service_of
from testing.github.action_runner import RunResult
from testing.load.http_load import KEPT, NEW, Load, Report
from testing.secret_scanner import find_canaries
from testing.stage import SERVICES, Stage, remove_containers, wait_for

_KEPT_FILE = Path.home() / ".cache" / "deployer-demo.json"
_PROJECT = "shop-demo"
_WRAP = 72
_WIDE = 64  # a step's text; with its mark and its time it fits on 80 columns


class Told(Exception):
    """A chapter that did not hold."""


class Page:
    """Output for a person: one line for every finished step, colour only on a terminal."""

    def __init__(self, *, whole: bool) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._whole = whole
        self._chapter = 0

    def title(self, text: str) -> None:
        self._chapter += 1
        print(f"\n{self._paint(1, f'{self._chapter}. {text}')}", flush=True)

    def line(self, text: str) -> None:
        print(f"   {text}", flush=True)

    def good(self, text: str) -> None:
        self.line(f"{self._paint(32, '✓')} {text}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Prints a step as it begins, and its duration when it ends."""
        live = sys.stdout.isatty()
        print(f"   {self._paint(2, '…')} {text}", end="\r" if live else "\n", flush=True)
        begun = time.monotonic()
        yield
        done = f"   {self._paint(32, '✓')} {text:<{_WIDE}} {time.monotonic() - begun:6.1f} s"
        print(done if live else f"     done in {time.monotonic() - begun:.1f} s", flush=True)

    def log(self, text: str) -> None:
        """Prints one line of the action's own log."""
        if self._whole:
            print(f"     {self._paint(2, text)}", flush=True)

    def _paint(self, code: int, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


class Story:
    """The chapters, in order, on one stage."""

    def __init__(self, stage: Stage, page: Page) -> None:
        self.stage = stage
        self.page = page
        self.token = ""

    def tell(self) -> None:
        self.first()
        self.release()
        self.develop()
        self.pull_request()
        self.broken()
        self.webhook()
        self.by_hand()
        self.canaries()

    def first(self) -> None:
        self.page.title("Version 1 is running")
        self.stage.source.release("1.0.0")
        with self.page.step("push to main: build, test, push, deploy"):
            run = self._audit_event("push", "main")
        self._expect(run.outcome == "success" and run.outputs["mode"] == "deploy", run)
        self._expect(self.stage.serves() == "1.0.0", run)
        self.page.good(f"{self.stage.web} serves 1.0.0, frontend and backend")

    def release(self) -> None:
        self.page.title("A push to main: version 2, while users send 200 requests a second")
        sha = self.stage.source.release("2.0.0")
        text = f"commit {sha[:7]}: build, test, push, deploy"
        with Load(f"{self.stage.web}/api/version") as load, self.page.step(text):
            run = self._audit_event("push", "main")
            self._expect(run.outcome == "success", run)
        self._figures(load.report, "2.0.0")
        self._same_images(run)

    def develop(self) -> None:
        self.page.title("A push to develop: built, tested, pushed, not deployed")
        self.stage.source.git("checkout", "--quiet", "-b", "develop")
        sha = self.stage.source.release("2.1.0")
        with self.page.step(f"commit {sha[:7]}: build, test, push"):
            run = self._audit_event("push", "develop")
        self._expect(run.outcome == "success" and run.outputs["mode"] == "build", run)
        self._expect(
            self._is_pushed(sha) and not run.outputs["deployment-id"] and self.stage.serves() == "2.0.0", run
        )
        self.page.good(f"images sha-{sha[:7]}… are in the registry, production still serves 2.0.0")

    def pull_request(self) -> None:
        self.page.title("A pull request: tested, nothing pushed, nothing deployed")
        self.stage.source.git("checkout", "--quiet", "-b", "feature")
        sha = self.stage.source.release("3.0.0-rc")
        with self.page.step(f"commit {sha[:7]}: build and test"):
            run = self._audit_event("pull_request", "feature")
        self._expect(run.outcome == "success" and run.outputs["mode"] == "test", run)
        self._expect(not self._is_pushed(sha) and self.stage.serves() == "2.0.0", run)
        self.page.good("the registry has no image of it, production still serves 2.0.0")

    def broken(self) -> None:
        self.page.title("A bad release: version 3 passes its tests and cannot start on the server")
        self.stage.source.git("checkout", "--quiet", "main")
        self._need_a_variable()
        self.stage.write_variables(PAYMENT_URL="")  # its name is there, and its value was forgotten
        sha = self.stage.source.release("3.0.0")
        text = f"commit {sha[:7]}: build, test, push, deploy"
        with Load(f"{self.stage.web}/api/version") as load, self.page.step(text):
            run = self._audit_event("push", "main", PAYMENT_URL="https://pay.example.org")
        self._expect(run.outcome == "failure" and run.outputs["status"] == "failure", run)
        reason = next((a.text for a in run.annotations if "PAYMENT_URL" in a.text), "")
        self._expect("gate-failed" in reason, run)
        self.page.line("the action failed with the server's reason:")
        for line in textwrap.wrap(reason.splitlines()[0], _WRAP):
            self.page.line(f"  {line}")
        self._figures(load.report, "2.0.0")
        self.stage.write_variables()
        self.stage.source.git("reset", "--quiet", "--hard", "HEAD~2")

    def webhook(self) -> None:
        self.page.title("A webhook: develop is merged, GitHub says that its workflow run is done")
        self.stage.source.git("merge", "--quiet", "--ff-only", "develop")
        sha = self.stage.source.git("rev-parse", "HEAD")
        with self.page.step(f"signed workflow_run for {sha[:7]}: the server finds the rest"):
            status, answer = self.stage.workflow_run(sha)
            self._hold(status == 202, str(answer))
            self.token = self.stage.token("read,redeploy,rollback")
            ended = self.stage.finished(answer["id"], self.token)
        self._hold(ended["status"] == "success" and self.stage.serves() == "2.1.0", str(ended))
        self.page.good("production serves 2.1.0; nothing was built again")

    def by_hand(self) -> None:
        self.page.title("By hand, with a person's token")
        with self.page.step("POST …/redeploy: what runs is what was deployed, nothing to do"):
            self._manual("redeploy")
        self._hold(self.stage.serves() == "2.1.0", "redeploy")
        with (
            self.page.step("POST …/rollback: back to the release before"),
            Load(f"{self.stage.web}/api/version") as load,
        ):
            self._manual("rollback")
        self._figures(load.report, "2.0.0")
        self.page.line("deployer history shop --json, in short:")
        for row in json.loads(self.stage.cli("history", "shop", "--json").stdout):
            code = re.search(r"\[([a-z-]+)\]", row["reason"])
            why = f" ({code.group(1)})" if code else ""
            self.page.line(
                f"  {row['kind']:<9} {row['revision'][:7]}  {row['trigger']:<8} {row['status']}{why}"
            )

    def canaries(self) -> None:
        self.page.title("Secrets")
        found, looked = find_canaries(self.stage)
        self._hold(not found, f"canaries in {', '.join(found)}")
        self.page.good(
            f"4 planted secrets, 0 hits in {looked} logs, database rows, answers and process arguments"
        )

    def _audit_event(self, event: str, branch: str, **variables: str) -> RunResult:
        return self.stage.act(event, branch, say=self.page.log, **variables)

    def _manual(self, kind: str) -> None:
        status, answer = self.stage.post(f"/api/v1/apps/shop/production/{kind}", self.token)
        self._hold(status == 202, str(answer))
        ended = self.stage.finished(answer["id"], self.token)
        self._hold(ended["status"] == "success", str(ended))

    def _figures(self, report: Report, version: str) -> None:
        lost = report.lost(NEW) + report.lost(KEPT)
        self._hold(lost == 0, f"{lost} requests were lost")
        wait_for(f"version {version}", lambda: self.stage.serves() == version, 10)
        self.page.good(
            f"{len(report.samples)} requests, {lost} lost, longest gap {report.gap_ms:.0f} ms;"
            f" {version} serves"
        )

    def _same_images(self, run: RunResult) -> None:
        tested = {name: entry["id"] for name, entry in json.loads(run.outputs["images"]).items()}
        running = {service_of(container): container["Image"] for container in self.stage.containers()}
        same = all(running[service] == tested[service] for service in SERVICES)
        self._hold(same, f"tested {tested}, running {running}")
        self.page.good(
            f"what runs is what was tested: {', '.join(f'{s} {running[s][7:19]}' for s in SERVICES)}"
        )

    def _is_pushed(self, sha: str) -> bool:
        repository = self.stage.namespace.partition("/")[2]
        url = f"http://{self.stage.registry}/v2/{repository}/shop-backend/tags/list"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return f"sha-{sha}" in json.loads(answer.read())["tags"]

    def _need_a_variable(self) -> None:
        """Commits a release that needs a variable, which the server does not have yet."""
        source = self.stage.source.folder / "backend" / "server.js"
        demand = "if (!process.env.PAYMENT_URL) throw new Error('PAYMENT_URL is not set');\n"
        self.stage.source.write("backend/server.js", demand + source.read_text(encoding="utf-8"))
        model = self.stage.source.folder / "compose.yaml"
        line = "      CORS_ORIGIN:"
        text = model.read_text(encoding="utf-8").replace(
            line, f"      PAYMENT_URL: ${{PAYMENT_URL:-}}\n{line}"
        )
        self.stage.source.write("compose.yaml", text)
        self.stage.source.commit("Take payments")

    def _expect(self, holds: bool, run: RunResult) -> None:
        self._hold(holds, f"the action's log ends with\n{run.log[-3000:]}")

    def _hold(self, holds: bool, why: str) -> None:
        if not holds:
            raise Told(f"{why}\n\nthe server's log ends with\n{self.stage.log.read_text()[-2000:]}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="script/demo", description="Push to production, told with real figures."
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running and print the addresses"
    )
    parser.add_argument("--down", action="store_true", help="end what --keep left running")
    parser.add_argument("--log", action="store_true", help="show the action's own log, too")
    arguments = parser.parse_args(argv)
    ended = _end_kept()
    if arguments.down:
        print("The kept demo is gone." if ended else "No demo was kept.")
        return 0
    return _run(keep=arguments.keep, whole=arguments.log)


def _run(*, keep: bool, whole: bool) -> int:
    begun, page = time.monotonic(), Page(whole=whole)
    stage = Stage(keep=keep, project=_PROJECT if keep else "", witness=True)
    try:
        with stage:
            Story(stage, page).tell()
    except KeyboardInterrupt:
        print("\nInterrupted; everything was cleaned up.", file=sys.stderr)
        return 130
    except (Told, AssertionError) as error:
        print(f"\nThis did not hold: {error}", file=sys.stderr)
        return 1
    print(f"\nAll of it held, in {time.monotonic() - begun:.0f} s.")
    if keep:
        _keep(stage)
    return 0


def _keep(stage: Stage) -> None:
    _KEPT_FILE.parent.mkdir(exist_ok=True)
    _KEPT_FILE.write_text(
        json.dumps({"pid": stage.server.pid if stage.server else 0, "folder": str(stage.folder)})
    )
    print(f"\nThe shop:   {stage.web}\nThe server: {stage.url}/health\nTo try:")
    engine = f" DOCKER_HOST={os.environ['DOCKER_HOST']}" if "DOCKER_HOST" in os.environ else ""
    print(f"  export DEPLOYER_CONFIG={stage.config}{engine} PATH=$PWD/.venv/bin:$PATH")
    print("  deployer status; deployer history shop; deployer rollback shop")
    print("The stand-ins for GitHub ended with the demo: pushes and --revision need them.")
    print("End it with: script/demo --down")


def _end_kept() -> bool:
    if not _KEPT_FILE.exists():
        return False
    kept = json.loads(_KEPT_FILE.read_text())
    with suppress(OSError):
        if "webhook_server.py" in Path(f"/proc/{kept['pid']}/cmdline").read_text():
            os.kill(kept["pid"], signal.SIGTERM)
    remove_containers(_PROJECT)
    _remove_tree(Path(kept["folder"]))
    _KEPT_FILE.unlink()
    return True


def _remove_tree(folder: Path) -> None:
    if folder.name.startswith("dpl-"):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
