"""The store: one SQLite file with migrations, encrypted where it holds secrets."""
