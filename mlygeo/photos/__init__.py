"""What is done to photos: tags written, descriptions kept, files moved."""
