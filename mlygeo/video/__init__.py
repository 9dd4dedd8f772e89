"""What is done to sample videos into frames."""
