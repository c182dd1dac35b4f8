"""Bad releases under load: no user may notice one. In: how many runs. Out: rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bench.contest import Deploy, Ours, Shape, under_load
from bench.rows import Row, say
from deployer.core.images import Image
from testing.load.http_load import Load
from testing.stage import Stage, docker

_GOOD = Shape(check={"interval": "1s", "timeout": "1s", "retries": 2, "start_period": "1s"})
_FAULTS: Mapping[str, Mapping[str, str]] = {
    "crash": {"FAULT": "crash"},
    "500": {"HEALTH": "500"},
    "silent": {"FAULT": "silent"},
}
_HOOK = {"pre-deploy": ["node", "-e", "process.exit(3)"]}


def measure(runs: int) -> list[Row]:
    """Measures each fault `runs` times on a server whose good release serves."""
    with Stage() as stage:
        ours = Ours(stage)
        first = ours.deploy(1, _GOOD)
        assert first["status"] == "success", first
        rows: list[Row] = []
        seen: list[float] = []
        for name, variables in _FAULTS.items():
            found = [_bad(ours, partial(ours.deploy, 2, _GOOD, **variables)) for _ in range(runs)]
            rows.append(_row(name, found))
            if name == "crash":
                seen = [_noticed(stage, deploy.ended) for deploy in found]
        missing = Image(ours.images[2].repository, "sha256:" + "0" * 64)
        service = _GOOD.service("app", ours.port)
        hooked = {**service, "x-deployer": _HOOK}
        for name, image, table in (("image", missing, service), ("hook", ours.images[2], hooked)):
            send = partial(ours.send, {"app": image}, {"app": table})
            rows.append(_row(name, [_bad(ours, send) for _ in range(runs)]))
    crash = tuple(round(one, 3) for one in seen)
    rows.append(Row("crash_seen_s", statistics.median(crash), "s", "<= 0.5", crash, "from the start on"))
    return rows


def _bad(ours: Ours, act: Callable[[], dict[str, Any]]) -> Deploy:
    deploy = under_load(Load(ours.url), act, "version ours-2")
    assert deploy.ended["status"] in ("failure", "error"), deploy.ended
    say(f"bad: {deploy.wall:.2f} s, {deploy.lost} lost: {deploy.ended['reason'][:90]}")
    return deploy


def _row(name: str, deploys: list[Deploy]) -> Row:
    lost = tuple(float(deploy.lost) for deploy in deploys)
    reason = deploys[-1].ended["reason"].partition("[")[2].partition("]")[0]
    return Row(f"lost_bad_{name}", sum(lost), "requests", "= 0", lost, f"ends as {reason}")


def _noticed(stage: Stage, ended: Mapping[str, Any]) -> float:
    """Returns the seconds from the start of the container to the line that reports its failure."""
    token = stage.token("read")
    _, body = stage.get(f"/api/v1/deployments/{ended['id']}?after=0", token)
    at = {event["kind"]: event["at"] for event in reversed(body["events"])}
    label = f"label=com.docker.compose.project={stage.project}"
    span = ("--since", str(at["start"]), "--until", str(at["failed"]))
    told = ("--filter", "event=start", "--filter", label, "--format", "{{.TimeNano}}")
    started = int(docker("events", *span, *told).split()[-1]) / 1e9
    return float(at["failed"] - started)
