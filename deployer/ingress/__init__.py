"""Use cases for what arrives: webhooks, deploy requests, plan requests, missed deliveries. Answers from the
store.
"""
