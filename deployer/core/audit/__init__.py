"""Audit log: its events and its hash chain. Never stores one."""
