"""Words of an engine that nobody knows."""

from __future__ import annotations

from deployer.core.model import ContainerState, Health


def test_an_unknown_word_of_an_engine_hides_no_other_container() -> None:
    assert ContainerState("hibernating") is ContainerState.UNKNOWN
    assert Health("tired") is Health.UNKNOWN and Health("healthy") is Health.HEALTHY
