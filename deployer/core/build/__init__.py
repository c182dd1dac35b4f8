"""Decisions about a build, shared by runner and server: branch rules, run mode, tags, content hashes."""
