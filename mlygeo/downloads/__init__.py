"""Downloading pictures into a folder."""
