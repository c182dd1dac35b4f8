"""GitHub: REST API, OIDC tokens, records of webhook deliveries. No other adapter talks to GitHub."""
