"""Entry point of the receiver, with the settings that DEPLOYER_CONFIG names.

In: HTTP. Out: exit code. The code is in `deployer/`; this file only starts it.
"""

from deployer.web.http_server.server import main

if __name__ == "__main__":
    raise SystemExit(main())
