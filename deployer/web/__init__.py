"""The only Flask code: parse → call the corridor → status code. Nothing here decides, and nothing touches a
database or Docker.
"""
