"""Adapter of the command `docker compose`. Renders models and records what Compose would create; starts and
stops nothing.
"""
