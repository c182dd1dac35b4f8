"""All I/O, one outside thing per file. No decisions: those are `core/`'s."""
