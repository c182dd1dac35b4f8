"""Releases that run as containers of one host: the target, what it fetches, runs and keeps in order."""
