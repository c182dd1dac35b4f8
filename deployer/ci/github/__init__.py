"""GitHub Actions: inputs, workflow commands, annotations, job summary, tokens, comments. Never calls the
deployer's server.
"""
