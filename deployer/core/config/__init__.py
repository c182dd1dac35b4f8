"""Settings: parsing and validation of `config.toml`. Reads no file."""
