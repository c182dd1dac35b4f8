"""Pure functions and values. Standard library only, no I/O, no clock, no randomness."""
