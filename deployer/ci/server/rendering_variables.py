"""Variables that the run's rendering used. In: the job's environment, the file that Compose read, the deploy
request's files. Out: name → value, for the names in these files only.

The server uses them where it knows nothing else, so that what was tested is what is deployed. What the runner
itself brings is left out: its home or its tokens are no setting of the application.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from deployer.ci import run_state
from deployer.core.model import Bundle
from deployer.core.requests.deploy_request import wrong_variable
from deployer.core.variables.interpolation import named_variables

_RUNNERS = re.compile(
    r"(?:GITHUB|RUNNER|ACTIONS|INPUT|DEPLOYER|LC|XDG)_.*|CI|HOME|HOSTNAME|LANG|LOGNAME|OLDPWD|PATH|PWD|SHELL|SHLVL"
    r"|TERM|TMPDIR|USER|_",
    re.IGNORECASE,
)
_READ = (".yaml", ".yml", ".env")


def rendering_variables(bundle: Bundle) -> dict[str, str]:
    """Returns the variables with a value."""
    job = {name: value for name, value in os.environ.items() if not _RUNNERS.fullmatch(name)}
    known: dict[str, str] = {**run_state.load("file_variables", {}), **job}
    texts = [text for path, text in bundle.files.items() if path == bundle.entry or path.endswith(_READ)]
    asked = {*named_variables(texts), *_passed(known)}
    found = {name: known[name] for name in sorted(asked) if known.get(name)}
    return {name: value for name, value in found.items() if not wrong_variable(name, value)}


def _passed(known: Mapping[str, str]) -> Iterator[str]:
    """Yields names of the rendered services' environment with the value that is known for the name, as with
    `environment: [NAME]`.
    """
    for service in (run_state.load("model") or {}).get("services", {}).values():
        for name, value in (service.get("environment") or {}).items():
            if value is not None and str(value).replace("$$", "$") == known.get(name):
                yield name
