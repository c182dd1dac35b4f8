"""Compose files with the requests that real Compose makes of them, and the deployer's two judgements. In: a
file as text. Out: a case with its requests, and the verdict of each judgement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.system.files import make_folder
from deployer.core.compose.rendering import FOLDER, MOUNTED, RENDERING, Folders
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.docker.container_requests import CreateRequest, with_mounted_files
from deployer.core.docker.engine_requests import RequestedImage, permit_container
from deployer.core.docker.network_requests import permit_network, permit_volume
from deployer.core.errors import DeployerError
from deployer.core.host_ports import check_ports
from deployer.core.model import Bundle
from deployer.core.permissions.compose_privileges import check_privileges
from deployer.core.permissions.project_permissions import Neighbourhood, Permissions, Present
from deployer.core.rollout.desired_state import DesiredState
from testing.security.container_names import powers_of_name
from testing.security.generated_compose_files import FILES
from testing.security.privilege_judge import (
    powers_of_archives,
    powers_of_container,
    powers_of_model,
    powers_of_network,
    powers_of_volume,
)
from testing.security.value_parts import NEIGHBOURS, PROJECT

AROUND = Neighbourhood(frozenset({PROJECT, *NEIGHBOURS}))


@dataclass(frozen=True)
class Case:
    """One file with the requests of real Compose. `calls`: (kind, body) of networks and volumes. `by_hand`:
    the requests were changed afterwards, so the early judgement does not apply.
    """

    text: str
    model: Mapping[str, Any]
    containers: tuple[CreateRequest, ...]
    calls: tuple[tuple[str, dict[str, Any]], ...]
    by_hand: bool = False

    @property
    def files(self) -> str:
        return str(self.model[MOUNTED])

    def powers(self) -> list[str]:
        """Returns the powers in the requests by the independent judge."""
        found = [power for kind, body in self.calls for power in _of_call(kind, body)]
        for one in self.containers:
            found += powers_of_container(one.body, PROJECT, self.files)
            found += powers_of_name(one.name, NEIGHBOURS)
            found += powers_of_archives(query for query, _ in one.archives)
        return found

    def powers_of_model(self) -> list[str]:
        """Returns the powers in the model by the independent judge, as a newer Compose may use them."""
        return powers_of_model(self.model, PROJECT, str(self.model[FOLDER]))


def _of_call(kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    judge = powers_of_network if kind == "networks" else powers_of_volume
    return judge(body, PROJECT)


def _unjudged(method: str, path: str, body: bytes, *_: object) -> PermittedCall:
    return PermittedCall(method, path, body)


class Bench:
    """Renders and records without an engine: networks and volumes are reported as made."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.compose = Compose(folder)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def render(self, text: str) -> Mapping[str, Any] | None:
        with suppress(DeployerError):
            return self.compose.renderer.render(
                PROJECT, Bundle("compose.yaml", {"compose.yaml": text, **FILES}), {}
            )
        return None

    def record(self, text: str, model: Mapping[str, Any]) -> Case | None:
        self.calls.clear()
        everything = Permissions(PROJECT)
        application = DesiredState(
            PROJECT, (), dict(model), rendering=str(model[RENDERING]), permissions=everything
        )
        with (
            mock.patch("deployer.adapters.docker.compose.request_recording.permit_call", _unjudged),
            suppress(DeployerError),
        ):
            recorded = self.compose.recording.record(application, self._forward, {})
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
            known |= {found[2]} if found[2].startswith(NEIGHBOURS[:1]) else set()  # foreign objects exist
            answer = {"Name": found[2], "Id": found[2], "Labels": _labels(found[2])}
            return (
                (200, {}, json.dumps(answer).encode())
                if found[2] in known
                else (404, {}, b'{"message": "no"}')
            )
        answers: dict[str, Any] = {"/_ping": "OK", "/version": {"ApiVersion": "1.45"}, "/info": {"ID": "x"}}
        answers |= {"/networks": [], "/volumes": {"Volumes": []}}
        return 200, {"Api-Version": "1.45"}, json.dumps(answers.get(bare, {})).encode()


def _labels(name: str) -> dict[str, str]:
    return {"com.docker.compose.project": PROJECT, "com.docker.compose.network": name.partition("_")[2]}


def is_refused_early(case: Case) -> bool:
    """True if the judgement of the rendered model refuses the file."""
    try:
        check_ports(case.model["services"])
        check_privileges(case.model, (), project=PROJECT, setting="apps.gen", around=AROUND)
    except DeployerError:
        return True
    return False


def is_refused_late(case: Case) -> bool:
    """True if the judgement of the requests refuses one of them."""
    permissions = Permissions(PROJECT, around=AROUND, readable=(case.files,))
    present = Present(frozenset(text for one in case.containers for text in (one.id, one.name)))
    try:
        for kind, body in case.calls:
            (permit_network if kind == "networks" else permit_volume)(body, permissions)
        for one in case.containers:
            labels = one.body["Labels"]
            if not case.by_hand:  # as a replica's request has them
                labels = {key: text for key, text in labels.items() if not key.startswith("deployer.")}
            body = {**one.body, "Labels": labels}
            image = RequestedImage(str(body["Image"]))
            permit_container(one.name, body, image, permissions, present, one.archives)
    except DeployerError:
        return True
    return False
