"""Local photos: writing tags, storing descriptions, moving files."""
