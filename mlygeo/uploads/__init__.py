"""What is done to upload photos, archives and videos."""
