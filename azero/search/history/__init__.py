"""What a search remembers of its programs: ancestors, lineages, the best of them."""
