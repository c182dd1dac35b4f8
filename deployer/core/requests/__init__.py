"""Deploy and plan requests: their parsing and their signatures."""
