"""Bytes and files in, frames out."""
