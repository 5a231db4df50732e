"""What is measured and drawn once programs are found; imported by nothing in the search."""
