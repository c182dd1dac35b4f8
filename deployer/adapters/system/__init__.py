"""This machine: files, locks, clock, log, subprocesses and their confinement. Imports no other adapter."""
