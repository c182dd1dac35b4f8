"""Adapter of one Docker engine and of Compose. Carries out what `core` has decided, judges nothing itself.
Every request that creates something takes a value that `core/docker/engine_requests.py` has permitted.
"""
