"""Uploading photos, archives and videos."""
