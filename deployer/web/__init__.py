"""The HTTP interface, the only Flask code: parses a request, calls a use case, answers with its status code.
Never decides, and never touches a database or Docker.
"""
