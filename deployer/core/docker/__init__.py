"""Requests to a Docker engine as values, their judgement, and HAProxy's configuration. Sends nothing."""
