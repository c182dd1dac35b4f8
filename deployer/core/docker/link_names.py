"""Targets of links (`links: [api]`). In: recorded requests of Compose. Out: recorded name → the name that a
link leads to. Never asks the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.core.docker.container_requests import CreateRequest, networks_in
from deployer.core.rollout.desired_state import DesiredState


def names_at_the_edge(
    application: DesiredState, one: CreateRequest, recorded: Sequence[CreateRequest]
) -> dict[str, str]:
    """Returns recorded name → the service's name, which the edge has on a network of the request, for
    services behind the edge: so a link outlives replicas, and passes by none.
    """
    mine = networks_in([one])
    return {
        other.name: other.service
        for other in recorded
        if (found := application.service(other.service)) and found.routes and mine & networks_in([other])
    }
