"""Mapillary: its tiles, its Graph API, its uploads and its accounts."""
