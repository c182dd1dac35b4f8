"""The worker process: claims jobs, runs delegated tasks, maintains and prunes between deployments."""
