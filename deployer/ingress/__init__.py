"""Use cases of the receiver: webhooks, deploy requests, plan requests, missed deliveries. Reads and writes
the store only.
"""
