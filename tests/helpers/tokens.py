"""Tokens in the form of the service's own, which no service knows."""

TOKEN = "MLY|1234567890|0123456789abcdef0123456789abcdef"
"""The token of an application."""
QUOTED = TOKEN.replace("|", "%7C")
SECRET = TOKEN.rsplit("|", 1)[-1]
"""The part that must never appear anywhere."""
