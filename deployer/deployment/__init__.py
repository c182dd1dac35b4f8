"""Deployment: assemble, plan, roll out, verify, reconcile, record. Imports ports, never adapters."""
