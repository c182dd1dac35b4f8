"""What `build` makes of a Compose file, before any engine is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployer.ci.git import tracked_files
from deployer.ci.steps.build import plan_builders, plan_repositories, target_of
from deployer.core.errors import ComposeRejected
from tests.ci.conftest import Workflow, commit_all, git

SERVICES: dict[str, Any] = {
    "web": {"build": {"context": "/w"}, "image": "ghcr.io/acme/front:${TAG}"},
    "api": {"build": {"context": "/a"}},
    "db": {"image": "postgres:17"},
}


def test_built_services_get_a_repository_and_others_do_not() -> None:
    found = plan_repositories(SERVICES, registry="ghcr.io", source="Acme/Shop", compose="compose.yaml")
    assert found == {"web": "ghcr.io/acme/front", "api": "ghcr.io/acme/shop-api"}


def test_a_name_that_cannot_be_deployed_is_refused_before_the_build() -> None:
    services = {"web": SERVICES["api"], "y" * 64: SERVICES["api"]}
    with pytest.raises(ComposeRejected, match="cannot be deployed"):
        plan_repositories(services, registry="ghcr.io", source="a/b", compose="compose.yaml")


def test_services_that_share_an_image_are_built_once() -> None:
    shared = {"web": {"build": {"context": "/w"}}, "worker": {"build": {"context": "/w"}}}
    assert plan_builders(shared, {"web": "ghcr.io/acme/app", "worker": "ghcr.io/acme/app"}) == ["web"]


def test_different_builds_under_one_name_are_refused() -> None:
    shared = {"web": {"build": {"context": "/w"}}, "worker": {"build": {"context": "/x"}}}
    with pytest.raises(ComposeRejected, match="web and worker"):
        plan_builders(shared, {"web": "ghcr.io/acme/app", "worker": "ghcr.io/acme/app"})


def test_a_dotted_service_has_bakes_name() -> None:
    assert target_of("my.api-v1.x") == "my_api-v1_x"


def test_only_tracked_regular_files_are_listed(tmp_path: Path) -> None:
    for name in ("a.env", "sub/b.env", "ignored.env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("ignored.env\n")
    (tmp_path / "link.env").symlink_to("/etc/passwd")
    assert tracked_files.listed_files(tmp_path) == {"a.env", "sub/b.env", "ignored.env", ".gitignore"}
    revision = commit_all(tmp_path)
    assert tracked_files.listed_files(tmp_path) == {"a.env", "sub/b.env", ".gitignore"}
    assert tracked_files.commit_date(tmp_path, revision) == git(tmp_path, "show", "-s", "--format=%cI")
    assert tracked_files.commit_date(tmp_path, "0" * 40) == ""


def test_a_file_is_read_only_where_it_is_text_in_the_checkout(tmp_path: Path) -> None:
    top = tmp_path / "workspace"
    (top / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text("hush")
    (top / "good.env").write_text("ä=1\r\n")
    (top / "binary").write_bytes(b"\xff\x00")
    (top / "nul").write_bytes(b"a\x00b")
    (top / "big").write_bytes(b"x" * 1_000_001)
    (top / "link").symlink_to(tmp_path / "outside")
    (top / "folder").symlink_to(tmp_path)
    assert tracked_files.read_text(top, "good.env") == "ä=1\r\n"
    for path in ("binary", "nul", "big", "link", "folder/outside", "sub", "missing", "../outside"):
        assert tracked_files.read_text(top, path) is None, path


@pytest.mark.engine
def test_services_that_bake_cannot_tell_apart_are_refused(run: Workflow) -> None:
    """Compose allows both names; one image for both would be tested and deployed as either."""
    services = "  a.b: {build: one}\n  a_b: {build: two}\n"
    (run.workspace / "compose.yaml").write_text(f"services:\n{services}")
    step = run.verb("build", registry="ghcr.io")
    assert step.code == 1
    assert "services a.b and a_b have the same name in bake, a_b [compose-rejected]" in step.error
