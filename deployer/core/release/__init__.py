"""Releases: images, retention, confirmation, rollback rules, the reason of a failure."""
