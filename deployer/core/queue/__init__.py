"""Rules of the queue: the newest run supersedes older ones, and tasks for the other process."""
