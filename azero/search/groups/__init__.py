"""Islands of several kinds as one search, and what passes between them."""
