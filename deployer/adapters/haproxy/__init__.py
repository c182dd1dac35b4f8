"""HAProxy as the edge: its configuration file, its runtime socket, its certificates."""
