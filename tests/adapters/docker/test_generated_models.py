"""Random Compose files, real Compose, the judgement of the model and the last gate, against a judge written
apart.

A file passes in one of three ways: Compose refuses it, the deployer refuses it, or its requests give no power
over the host. The second test takes one rule of the deployer away at a time and expects the files to show it.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.adapters.docker.compose_cli import Compose
from deployer.adapters.system.files import make_folder
from deployer.core.compose.rendering import FOLDER, MOUNTED, RENDERING, Folders
from deployer.core.docker import engine_requests, host_config, network_requests
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.docker.container_requests import CreateRequest, with_mounted_files
from deployer.core.docker.engine_requests import RequestedImage, permit_container
from deployer.core.docker.network_requests import permit_network, permit_volume
from deployer.core.errors import DeployerError
from deployer.core.model import Bundle
from deployer.core.permissions import compose_privileges as powers
from deployer.core.permissions import engine_load, foreign_names, host_access, log_options
from deployer.core.permissions.compose_privileges import check_privileges
from deployer.core.permissions.grants import PowerRefused
from deployer.core.permissions.project_permissions import Neighbourhood, Permissions, Present
from deployer.core.rollout.desired_state import DesiredState
from testing.security.generated_compose_files import (
    FILE,
    FILES,
    NEIGHBOUR,
    NETWORK,
    PROJECT,
    SERVICE,
    VOLUME,
    compose_files,
    keys_of,
)
from testing.security.privilege_judge import (
    powers_of_container,
    powers_of_model,
    powers_of_name,
    powers_of_network,
    powers_of_volume,
)

DAILY, LONG, PARTS = 500, 20_000, 4
RECORDED_IN_LONG = 8  # one file of so many is recorded as well; all of them every day
AROUND = Neighbourhood(frozenset({PROJECT, NEIGHBOUR}))


@dataclass(frozen=True)
class Case:
    """One file with what real Compose made of it. `calls`: (kind, body) of networks and volumes."""

    text: str
    model: Mapping[str, Any]
    containers: tuple[CreateRequest, ...]
    calls: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def files(self) -> str:
        return str(self.model[MOUNTED])

    def powers(self) -> list[str]:
        """By the judge of its own, whatever the deployer thinks."""
        found = [power for kind, body in self.calls for power in _of_call(kind, body)]
        for one in self.containers:
            found += powers_of_container(one.body, PROJECT, self.files)
            found += powers_of_name(one.name, NEIGHBOUR)
        return found


def _of_call(kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    judge = powers_of_network if kind == "networks" else powers_of_volume
    return judge(body, PROJECT)


class Bench:
    """Renders and records without an engine: networks and volumes are told to be made."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.compose = Compose(folder)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def render(self, text: str) -> Mapping[str, Any] | None:
        with suppress(DeployerError):
            return self.compose.render(PROJECT, Bundle("compose.yaml", {"compose.yaml": text, **FILES}), {})
        return None

    def record(self, text: str, model: Mapping[str, Any]) -> Case | None:
        self.calls.clear()
        everything = Permissions(PROJECT)
        application = DesiredState(
            PROJECT, (), dict(model), rendering=str(model[RENDERING]), permissions=everything
        )
        with (
            mock.patch("deployer.adapters.docker.compose_cli.permit_call", _unjudged),
            suppress(DeployerError),
        ):
            recorded = self.compose.record(application, self._forward, {})
            folders = Folders(str(model[FOLDER]), str(model[MOUNTED]))
            containers = tuple(with_mounted_files(one, folders) for one in recorded)
            return Case(text, model, containers, tuple(self.calls))
        return None

    def _forward(self, call: PermittedCall) -> tuple[int, dict[str, str], bytes]:
        bare = re.sub(r"^/v[0-9.]+(?=/)", "", call.path.partition("?")[0])
        if made := re.fullmatch(r"/(networks|volumes)/create", bare):
            self.calls.append((made[1], json.loads(call.body)))
            return 201, {}, b'{"Id": "x", "Name": "x"}'
        if found := re.fullmatch(r"/(networks|volumes)/([^/]+)", bare):
            known = {body["Name"] for kind, body in self.calls if kind == found[1]}
            known |= {found[2]} if found[2].startswith(NEIGHBOUR) else set()  # what others have is there
            answer = {"Name": found[2], "Id": found[2], "Labels": _labels(found[2])}
            return (
                (200, {}, json.dumps(answer).encode())
                if found[2] in known
                else (404, {}, b'{"message": "no"}')
            )
        answers: dict[str, Any] = {"/_ping": "OK", "/version": {"ApiVersion": "1.45"}, "/info": {"ID": "x"}}
        answers |= {"/networks": [], "/volumes": {"Volumes": []}}
        return 200, {"Api-Version": "1.45"}, json.dumps(answers.get(bare, {})).encode()


def _unjudged(method: str, path: str, body: bytes, *_: object) -> PermittedCall:
    return PermittedCall(method, path, body)


def _labels(name: str) -> dict[str, str]:
    return {"com.docker.compose.project": PROJECT, "com.docker.compose.network": name.partition("_")[2]}


def is_refused_early(case: Case) -> bool:
    """Whether the judgement of the rendered model refuses the file."""
    try:
        check_privileges(case.model, (), project=PROJECT, setting="apps.gen", around=AROUND)
    except DeployerError:
        return True
    return False


def is_refused_late(case: Case) -> bool:
    """Whether the last gate refuses one of the requests."""
    permissions = Permissions(PROJECT, around=AROUND, readable=(case.files,))
    present = Present(frozenset(text for one in case.containers for text in (one.id, one.name)))
    try:
        for kind, body in case.calls:
            (permit_network if kind == "networks" else permit_volume)(body, permissions)
        for one in case.containers:
            labels = {k: v for k, v in one.body["Labels"].items() if not k.startswith("deployer.")}
            body = {**one.body, "Labels": labels}  # as a replica's request has them
            image = RequestedImage(str(body["Image"]))
            permit_container(one.name, body, image, permissions, present)
    except PowerRefused:
        return True
    return False


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """In memory where the machine has room for files there: thousands of bundles are written and synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="dpl-") as folder:
        yield Bench(Path(folder) / "state")


def draw(count: int, use: Callable[[str], None]) -> None:
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.data())
    def each(data: st.DataObject) -> None:
        use(data.draw(compose_files()))

    each()


def show(case: Case, counts: Counter[str]) -> None:
    """The file's fate, counted; raises AssertionError for a power that passes."""
    found = case.powers()
    early, late = is_refused_early(case), is_refused_late(case)
    counts["gives power" if found else "harmless"] += 1
    counts["refused early"] += early
    counts["refused late"] += late
    assert not found or early, f"the model passes, and gives {found}:\n{case.text}"
    assert not found or late, f"the requests pass, and give {found}:\n{case.text}"


@pytest.fixture(scope="module")
def corpus(bench: Bench) -> list[Case]:
    """The day's files that Compose takes, with the requests that it made of them."""
    kept: list[Case] = []
    drawn: list[str] = []

    def use(text: str) -> None:
        drawn.append(text)
        model = bench.render(text)
        if model is not None and (case := bench.record(text, model)):
            kept.append(case)

    draw(DAILY, use)
    assert len(drawn) >= DAILY and len(kept) >= DAILY // 4, f"{len(kept)} of {len(drawn)} are Compose's input"
    return kept


@pytest.mark.case("X01", "X02", "X06", "X07")
def test_no_generated_file_gives_a_power_of_the_host(corpus: list[Case]) -> None:
    counts: Counter[str] = Counter()
    for case in corpus:
        show(case, counts)
    print(f"{len(corpus)} files: {dict(counts)}", file=sys.stderr)
    assert counts["gives power"] >= DAILY // 10 and counts["harmless"] >= DAILY // 20


def test_every_key_of_the_specification_is_drawn() -> None:
    drawn: set[str] = set()
    draw(1_500, lambda text: drawn.update(json.loads(text)["services"]["web"]))
    assert not set(SERVICE) - set(keys_of("service")), "values for keys that the specification lacks"
    for values, kind in ((NETWORK, "network"), (VOLUME, "volume"), (FILE, "config")):
        assert not set(values) - set(keys_of(kind))
    assert len(drawn) > len(keys_of("service")) * 9 // 10


# Each takes one rule of the deployer away: where it stands, its name, and what stands there instead.
HOLES: dict[str, tuple[object, str, object]] = {
    name: (host_access, name, lambda *_: ())
    for name in (
        *(
            "capabilities",
            "security_options",
            "limits",
            "kernel_settings",
            "runtime_annotations",
        ),
        *("controller_labels", "controller_variables", "subnets", "network_options", "volume_options"),
    )
} | {
    "log_driver": (log_options, "log_driver", lambda *_: ()),
    "health_check": (engine_load, "health_check", lambda *_: ()),
    "container_name": (foreign_names, "container_name", lambda *_: ()),
}
EARLY_HOLES: dict[str, tuple[object, str, object]] = {
    "namespaces": (powers, "_of_namespaces", lambda *_: ()),
    "devices": (powers, "_of_devices", lambda *_: ()),
    "paths": (powers, "_of_path", lambda *_: ()),
    "volumes": (powers, "_of_volume", lambda *_: ()),
    "networks": (powers, "_of_network", lambda *_: ()),
    "rights": (powers, "_of_rights", lambda *_: ()),
    "limits of memory": (powers, "_of_limits", lambda *_: ()),
}
LATE_HOLES: dict[str, tuple[object, str, object]] = {
    "namespaces": (host_config, "_of_namespaces", lambda *_: ()),
    "devices": (host_config, "_of_devices", lambda *_: ()),
    "paths": (host_config, "_of_path", lambda *_, **__: ()),
    "volume names": (host_config, "_of_volume_name", lambda *_: ()),
    "rights": (host_config, "_of_rights", lambda *_: ()),
    "limits of memory": (host_config, "_of_limits", lambda *_: ()),
    "links": (host_config, "asked_by_links", lambda *_: ()),
    "networks": (network_requests, "_of_network", lambda *_: ()),
    "volumes": (network_requests, "_of_volume", lambda *_: ()),
    "endpoints": (network_requests, "asked_by_endpoints", lambda *_: ()),
}


def unfound(
    holes: Mapping[str, tuple[object, str, object]], corpus: list[Case], is_refused: Callable[[Case], bool]
) -> list[str]:
    """Names of the rules whose absence no file shows; the count of files that show each is printed."""
    dangerous = [case for case in corpus if case.powers()]
    missing = []
    for name, (module, rule, instead) in holes.items():
        modules = (module, engine_requests, host_config, network_requests)
        users = {id(one): one for one in modules if hasattr(one, rule)}
        with ExitStack() as patches:
            for user in users.values():
                patches.enter_context(mock.patch.object(user, rule, instead))
            shown = sum(not is_refused(case) for case in dangerous)
        print(f"without {name}: {shown} files pass", file=sys.stderr)
        missing += [] if shown else [name]
    return missing


@pytest.mark.parametrize(
    ("holes", "is_refused"),
    [(HOLES | EARLY_HOLES, is_refused_early), (HOLES | LATE_HOLES, is_refused_late)],
    ids=["model", "requests"],
)
def test_each_rule_that_is_taken_away_is_found(
    bench: Bench,
    corpus: list[Case],
    holes: dict[str, tuple[object, str, object]],
    is_refused: Callable[[Case], bool],
) -> None:
    """Rules that chance left out of the day's files get files that hold each value once."""
    cases = [*corpus, *every_value_once(bench)]
    assert unfound(holes, cases, is_refused) == []


def every_value_once(bench: Bench) -> Iterator[Case]:
    tables = [("web", {key: value}) for key, values in SERVICE.items() for value in values]
    tops = [("networks", {key: value}) for key, values in NETWORK.items() for value in values]
    tops += [("networks", {"name": f"{NEIGHBOUR}_default", "external": True})]
    tops += [("volumes", {"name": f"{NEIGHBOUR}_data", "external": True})]
    tops += [("volumes", {key: value}) for key, values in VOLUME.items() for value in values]
    for kind, table in (*tables, *tops):
        service: dict[str, Any] = {"image": "nginx:alpine", **(table if kind == "web" else {})}
        if kind == "networks":
            service["networks"] = {"default": {"priority": 10}, "net": {}}
        if kind == "volumes":
            service["volumes"] = ["vol:/vol"]
        document = {
            "services": {"web": service, "db": {"image": "nginx:alpine"}},
            "networks": {"net": table if kind == "networks" else None},
            "volumes": {"vol": table if kind == "volumes" else None, "data": None},
            "configs": {"conf": {"file": "./a.txt"}},
            "secrets": {"sec": {"file": "./a.txt"}},
        }
        text = json.dumps(document)
        model = bench.render(text)
        if model is not None and (case := bench.record(text, model)):
            yield case


@pytest.mark.long
@pytest.mark.case("X01", "X02")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_file_of_twenty_thousand_gives_a_power_of_the_host(bench: Bench, part: int) -> None:
    counts: Counter[str] = Counter()

    def use(text: str) -> None:
        counts["drawn"] += 1
        model = bench.render(text)
        if model is None:
            counts["refused by compose or its guard"] += 1
        elif counts["drawn"] % RECORDED_IN_LONG == 0 and (case := bench.record(text, model)):
            counts["recorded"] += 1
            show(case, counts)
        else:
            show_model(text, model, counts)

    draw(LONG // PARTS, use)
    print(f"part {part}: {dict(counts)}", file=sys.stderr)
    assert counts["drawn"] >= LONG // PARTS and counts["recorded"] >= LONG // PARTS // RECORDED_IN_LONG // 4


def show_model(text: str, model: Mapping[str, Any], counts: Counter[str]) -> None:
    """A file that was rendered only, judged by its model."""
    case = Case(text, model, (), ())
    found, early = powers_of_model(model, PROJECT, str(model[FOLDER])), is_refused_early(case)
    counts["gives power"] += bool(found)
    counts["refused early"] += early
    assert not found or early, f"the model passes, and gives {found}:\n{text}"
