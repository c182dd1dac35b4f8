"""Permissions of a Compose project on its host: grants, powers of single values, judgement of the rendered
model. Pure; sends nothing to the engine.
"""
