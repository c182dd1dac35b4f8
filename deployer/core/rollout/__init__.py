"""From a release and an observation to a plan: desired state, conflicts, planner, readiness, availability
figures.
"""
