"""The repository as the runner has it: git itself, tracked files, marks in the workspace."""
