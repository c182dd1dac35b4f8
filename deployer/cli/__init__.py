"""The `deployer` command on the server. In: argv. Out: text for people, exit code 0 when it went well, 1 when
not, 2 for wrong words.

Works on the server's own state folder, so it needs no token: who may read the settings may deploy.
"""

from deployer.cli.parser import main

__all__ = ["main"]
