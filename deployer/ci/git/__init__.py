"""The repository on the runner: git itself, tracked files, markers in the workspace."""
