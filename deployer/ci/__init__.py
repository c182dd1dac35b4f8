"""The runner's side: the verbs of the composite action. Standard library, core and io only."""
