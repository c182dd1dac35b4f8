"""OCI registries, without a Docker engine. No connection leads into the server's own network."""
