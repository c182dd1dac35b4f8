"""Requests to applications: single ones for the readiness gate, a steady series for availability."""
