"""Authorization: API tokens, OIDC claims against settings, a job's check before it runs."""
