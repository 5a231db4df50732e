"""Tasks made of images: the paper's projected pairs, ten classes, digits, and their files."""
