"""Pure planning of a rollout, from a release and an observation to a plan: desired state, conflicts, planner,
readiness, availability figures.
"""
