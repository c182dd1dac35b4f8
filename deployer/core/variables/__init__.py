"""Variables of Compose files: files that give them, texts that name them, placeholders for their values."""
