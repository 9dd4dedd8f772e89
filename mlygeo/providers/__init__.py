"""Who serves street-level images: a folder each."""
