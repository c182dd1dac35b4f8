"""`python3 -I deployer/ci VERB`: one verb of the action. In: a step's environment. Out: exit code."""

import sys

# Python puts a folder that it runs first on the path, where its modules would shadow the standard library.
sys.path.pop(0)

from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if sys.version_info < (3, 11):  # noqa: UP036 — the runner's Python may be older
    version = ".".join(str(part) for part in sys.version_info[:3])
    print(f"::error title=deployer::Python 3.11 or newer is needed on the runner, this is {version}.")
    sys.exit(1)

from deployer.ci.main import main

sys.exit(main(sys.argv[1:]))
