"""GitHub Actions: inputs, workflow commands, annotations, job summary, tokens, comments. Asks no server of
ours.
"""
