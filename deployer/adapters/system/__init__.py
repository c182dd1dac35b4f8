"""This machine: files, locks, clock, log, limited and confined processes. Imports no other adapter."""
