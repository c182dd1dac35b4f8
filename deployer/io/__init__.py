"""I/O that the runner and the server share: child processes, HTTP, OCI registries. Imports the standard
library and `core` only, so it works on a bare runner. Callers give the policy: limits, permitted addresses,
logins, and the words of a failure.
"""
