"""What the pixels of pictures tell: how sharp, how bright, how much contrast, and which pictures are the same."""
