from __future__ import annotations

import pytest

from deployer.core.docker.compose_confinement import Means, choose_confinement, group_of_all, user_of


@pytest.mark.case("X03")
@pytest.mark.parametrize(
    ("abi", "root", "sockets", "means", "words"),
    [
        (7, True, True, Means.LANDLOCK, "by Landlock (ABI 7): it has its release's files and no network"),
        (4, False, False, Means.LANDLOCK, "by Landlock (ABI 4): it has its release's files and no TCP"),
        (1, False, False, Means.LANDLOCK, "by Landlock (ABI 1): it has its release's files and the network"),
        (
            0,
            True,
            True,
            Means.OWN_USER,
            "by a user of its own, as WHY: it has what every user may read and no n",
        ),
        (0, False, True, Means.NONE, "not confined, as WHY and the deployer is not root"),
    ],
)
def test_the_strongest_means_is_taken_and_said(
    abi: int, root: bool, sockets: bool, means: Means, words: str
) -> None:
    chosen = choose_confinement(abi, "" if abi else "WHY", root=root, sockets=sockets)
    assert chosen.means is means and words in str(chosen)


def test_each_project_has_a_user_that_is_nobody_elses() -> None:
    users = {user_of(f"project-{number}") for number in range(100)}
    assert len(users) == 100 and min(users) > group_of_all() > 65_535 and max(users) < 2**31
