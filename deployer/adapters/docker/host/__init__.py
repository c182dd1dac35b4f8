"""Docker engine, Compose and edge as one container host, one module for each role of
`core/ports/container_host.py`.
"""
