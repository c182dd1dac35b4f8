"""Parts of HTTP that are pure: strict JSON, fields, client addresses, rate limits, status lines."""
