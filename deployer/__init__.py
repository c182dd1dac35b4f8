"""GitHub action and webhook deployer for Docker Compose applications. Imports nothing: the runner loads it
bare.
"""

__version__ = "0.1.0"
