"""Readers: from bytes and files to frames."""
