"""Steps of the action in their order: decide, checkout, build, test, push, deploy, plan, report. One module
each.
"""
