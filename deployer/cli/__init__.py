"""The `deployer` command on the server. In: argv. Out: text for people, exit code 0 for success, 1 for a
failure, 2 for wrong arguments.

Works on the server's own state folder without a token: a user with the right to read the settings may deploy.
"""

from deployer.cli.parser import main

__all__ = ["main"]
