"""What is done to fetch pictures into a folder."""
