"""Interfaces that use cases need from outside. Adapters and test doubles implement them."""
