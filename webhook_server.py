"""The door: starts the receiver with the settings that DEPLOYER_CONFIG names.

In: HTTP. Out: exit code. Everything behind the door is in `deployer/`; this file only opens it.
"""

from deployer.web.http_server.server import main

if __name__ == "__main__":
    raise SystemExit(main())
