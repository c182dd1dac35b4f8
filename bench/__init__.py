"""Measured comparisons, each `script/bench NAME`. Speed is a ratio side by side in one run, never a time
asserted in a test.
"""
