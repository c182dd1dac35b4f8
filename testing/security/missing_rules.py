"""The deployer without one of its rules. In: a rule, cases. Out: the number of cases that show its absence,
and the page of these numbers.

A rule is identified by its grant and by the asking part; without the rule that grant is not requested. Where
two rules ask for the same grant, a limit that no case reaches replaces the rule's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

from deployer.core.permissions import (
    compose_privileges,
    grants,
    host_access,
    log_options,
    memory,
    project_permissions,
)
from testing.docker.docker_cli import ROOT
from testing.security.compose_bench import Case, is_refused_early, is_refused_late

PAGE = ROOT / "docs/design/missing-rules.md"
MODEL, REQUESTS = "model", "requests"
JUDGED: Mapping[str, Callable[[Case], bool]] = {MODEL: is_refused_early, REQUESTS: is_refused_late}
_BOTH, _EARLY, _LATE = (MODEL, REQUESTS), (MODEL,), (REQUESTS,)
_ENDLESS = 10**18


@dataclass(frozen=True)
class Rule:
    """`asks`: the rule's request, as `PLACE asks GRANT`. `bound`: a module, the name of its limit and a value
    that no case reaches. `judged`: the judgements that contain the rule.
    """

    asks: str = ""
    judged: Sequence[str] = _BOTH
    bound: tuple[ModuleType, str, object] | None = None

    @contextmanager
    def missing(self) -> Iterator[None]:
        with ExitStack() as patches:
            if self.bound:
                patches.enter_context(mock.patch.object(*self.bound))
            if self.asks:
                for user in (compose_privileges, project_permissions):
                    patches.enter_context(mock.patch.object(user, "refuse", self._refuse))
            yield

    def _refuse(self, asked: Iterable[grants.Asked], *rest: Any, **named: Any) -> None:
        grants.refuse([one for one in asked if not self.asked_for(*one)], *rest, **named)

    def asked_for(self, place: str, grant: str) -> bool:
        return bool(self.asks) and re.fullmatch(self.asks, f"{place} asks {grant}", re.DOTALL) is not None


def _key(key: str, judged: Sequence[str] = _BOTH) -> Rule:
    return Rule(rf"(service|container) \S+ asks {key}(:.*)?", judged)


def _of(place: str, grant: str, judged: Sequence[str] = _BOTH) -> Rule:
    return Rule(rf"{place} \S+ asks {grant}", judged)


def _request(field: str) -> Rule:
    return Rule(rf"\w+ \S+ asks request:{field}", _LATE)


RULES: dict[str, Rule] = {
    "privileged": _key("privileged"),
    "capabilities": _key("cap_add"),
    "security options": _of("(service|container)", "security_opt:(?!systempaths).*"),
    "masked paths of the kernel": _of("(service|container)", "security_opt:systempaths.*"),
    "control group's parent": _key("cgroup_parent"),
    "runtime": _key("runtime"),
    "annotations": _key("annotations"),
    "network of the host": _of("(service|container)", "network_mode:(host|bridge|default)"),
    "network of another container": _of("(service|container)", "network_mode:container:.*"),
    "network by its name": _of("(service|container)", "network_mode:(?!host|bridge|default|container:).*"),
    "processes": _key("pid"),
    "memory between processes": _key("ipc"),
    "host names": _key("uts"),
    "users": _key("userns_mode"),
    "control groups": _key("cgroup"),
    "volumes of another container": _key("volumes_from"),
    "links": _key("external_links"),
    "devices": _key("devices"),
    "rules for devices": _key("device_cgroup_rules"),
    "graphics processors": _key("gpus"),
    "speed of block devices, and weight": _key("blkio_config"),
    "weight on block devices": Rule(bound=(host_access, "_USUAL_WEIGHT", _ENDLESS)),
    "processor shares": Rule(bound=(host_access, "_USUAL_SHARES", _ENDLESS)),
    "real-time processor": _key("cpu_rt"),
    "limit memlock": _of("(service|container)", "ulimits:memlock"),
    "limit of open files": _of("(service|container)", "ulimits:nofile"),
    "limits of priority": _of("(service|container)", "ulimits:(rtprio|nice|rttime|msgqueue)"),
    "kernel settings": _key("sysctls"),
    "memory file systems": Rule(bound=(memory, "MOST", _ENDLESS)),
    "storage options": _key("storage_opt"),
    "pace of health checks": _key("healthcheck"),
    "killed last": _key("oom_score_adj"),
    "never killed": _key("oom_kill_disable"),
    "time to stop": Rule(bound=(host_access, "MOST_GRACE", _ENDLESS)),
    "log drivers": _of("(service|container)", r"logging:[^.]+"),
    "log options": _of("(service|container)", r"logging:[^.]+\.(?!tag|max-buffer-size).*"),
    "log templates": _of("(service|container)", r"logging:[^.]+\.tag"),
    "log buffers": Rule(bound=(log_options, "_MOST_BUFFERED", _ENDLESS)),
    "paths in services": _of("(service|container)", "bind:.*"),
    "paths of configs": _of("config", "bind:.*", _EARLY),
    "paths of secrets": _of("secret", "bind:.*", _EARLY),
    "paths in volumes": Rule(r"volume \S+ asks (bind|mount):.*"),
    "kinds of mounts": _key("mount"),
    "propagation": _key("propagation"),
    "names of volumes": Rule(r"(volume|container) .* asks volume:.*"),
    "names of mounted volumes": _of("container", "volume:.*", _LATE),
    "drivers of volumes": _of("volume", "driver:.*"),
    "options of volumes": _of("volume", "driver_opts:.*"),
    "names of networks": Rule(r"(network|container) .* asks network(_mode)?:.*"),
    "networks that are joined": _of("container", "network(_mode)?:.*", _LATE),
    "drivers of networks": _of("network", "driver:.*"),
    "options of networks": _of("network", "driver_opts:.*"),
    "options of endpoints": _of("(service|container)", "driver_opts:.*"),
    "address managers": _of("network", "ipam:.*"),
    "subnets": _of("network", "subnet:.*"),
    "size of subnets": Rule(bound=(host_access, "_SHORTEST_PREFIX", {4: 0, 6: 0})),
    "names of containers": _key("container_name"),
    "labels of controllers": _of("(service|container)", "label:(?!deployer|com.docker.compose).*"),
    "variables of controllers": _key("environment"),
    "the deployer's labels": Rule(
        r".* asks (?i:label:\s*deployer\..*)", bound=(host_access, "reserved_labels", lambda *_: [])
    ),
    "the project's label of containers": _of("container", "label:com.docker.compose.project.*", _LATE),
    "the project's label of networks, volumes": _of("(network|volume)", "label:com.docker.compose.*", _LATE),
    "fields of containers": _request("[A-Z][A-Za-z]+"),
    "fields of the host's part": _request(r"HostConfig\..*"),
    "fields of networks": _request(r"Network\.(?!Scope).*"),
    "scope of networks": _request(r"Network\.Scope.*"),
    "fields of volumes": _request(r"Volume\..*"),
    "deeper fields": _request(r"(?!HostConfig|Network\.|Volume\.|archive)[A-Za-z]+\..*"),
    "archives": _request(r"archive\..*"),
}


def shown(rule: Rule, judged: str, cases: Sequence[Case]) -> int:
    """Returns the number of dangerous files that pass without the rule, among those that do not pass with
    it.
    """
    refused = [case for case in dangerous(cases, judged) if JUDGED[judged](case)]
    with rule.missing():
        return sum(not JUDGED[judged](case) for case in refused)


def dangerous(cases: Sequence[Case], judged: str) -> list[Case]:
    """Returns the cases that are dangerous by the independent judge."""
    if judged == REQUESTS:
        return [case for case in cases if case.powers()]
    return [case for case in cases if not case.by_hand and (case.powers() or case.powers_of_model())]


def grants_asked(cases: Sequence[Case]) -> set[grants.Asked]:
    """Returns all grants that both judgements ask for, including granted ones."""
    asked: set[grants.Asked] = set()

    def note(wanted: Iterable[grants.Asked], *_: Any, **__: Any) -> None:
        asked.update(wanted)

    with mock.patch.object(compose_privileges, "refuse", note):
        for case in cases:
            is_refused_early(case)
    with mock.patch.object(project_permissions, "refuse", note):
        for case in cases:
            is_refused_late(case)
    return asked


def page(figures: Mapping[tuple[str, str], int]) -> str:
    """Returns the page. `figures`: (rule, judgement) → files."""
    rows = [
        f"| {name} | {_cell(figures, name, MODEL)} | {_cell(figures, name, REQUESTS)} |" for name in RULES
    ]
    return "\n".join([_HEAD, *rows, ""])


def _cell(figures: Mapping[tuple[str, str], int], name: str, judged: str) -> str:
    return str(figures.get((name, judged), "-"))


_HEAD = """\
# Rules that are taken away one by one

Each rule of the two judgements ([requests to the engine](engine-requests.md)) is taken away once, and files
that hold every dangerous value are judged without it. The figure is the number of files that then pass and
should not, by the judge of its own. With all rules none passes. A rule marked `-` has no place there. A
file whose power a second rule refuses as well is not counted. A rule that no file shows fails
`tests/adapters/docker/test_generated_models.py`, and so does a grant that no row here stands for. With
`DEPLOYER_WRITE_PAGES=1` the test writes this page, and compares names and figures otherwise.

| rule that is missing | files whose model passes | files whose requests pass |
|---|---:|---:|"""
