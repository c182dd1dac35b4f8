"""Argument parser of the whole command. In: argv. Out: exit code. Each module beside it declares its own
verbs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deployer import __version__
from deployer.cli.arguments import Parser, help_of
from deployer.cli.audit_commands import add_auditing
from deployer.cli.config_commands import add_settings
from deployer.cli.deploy_commands import add_acting
from deployer.cli.server_commands import add_serving
from deployer.cli.status_commands import add_looking
from deployer.core.errors import DeployerError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the console script."""
    arguments = command().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except DeployerError as error:
        print(f"deployer: {error.diagnostics()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    return code


def command() -> argparse.ArgumentParser:
    """Returns the parser with all verbs."""
    parser = Parser(prog="deployer", description="Deploys Docker Compose applications on this server.")
    parser.add_argument(
        "--config", default="", help="settings file (default: $DEPLOYER_CONFIG or /etc/deployer/config.toml)"
    )
    parser.add_argument(
        "--version", action="version", version=f"deployer {__version__}", help="print the version and exit"
    )
    parser.set_defaults(run=help_of(parser))
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    add_serving(verbs)
    add_acting(verbs)
    add_looking(verbs)
    add_settings(verbs)
    add_auditing(verbs)
    return parser
