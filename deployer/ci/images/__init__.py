"""Images on the runner: bake definitions, builds, the test stack, the registry. Never talks to the deployer's
server.
"""
