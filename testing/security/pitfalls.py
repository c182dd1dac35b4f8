"""The pitfalls of a redeploy on a real engine: number → the failure of a careless deployer. A test named
`test_e4_…` shows that number 4 does not happen.
"""

from __future__ import annotations

PITFALLS = {
    1: "a request to a container whose network is not up yet waits a second for its neighbour's answer",
    2: "names in the network lead to replicas that start, drain or are ill; nginx asks for a name once",
    3: "a proxy's reload returns before it is done, and ends WebSockets",
    4: "a replica that is removed while requests still go to it is a hole",
    5: "a process that ignores its stop signal takes the whole grace period; one that never served too",
    6: "fixed names and ports exist once; a second replica fails and leaves a stray container",
    7: "`docker compose up` recreates what it believes that somebody changed",
    8: "`docker compose up` in the middle of a rollout removes the new and recreates the old",
    9: "numbers of containers grow with each rollout, and each leaves an image behind",
    10: "two replicas that write to one volume destroy it",
    11: "a proxy that tries again sends a POST twice",
    12: "who depends on a service is stopped and recreated with it",
}
