"""Rollout of one plan: preflight, readiness gate, switch, drain, batches, reconciliation. Chooses nothing."""
