"""The runner's side: the verbs of the composite action. Standard library and core only."""
