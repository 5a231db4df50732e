"""azero."""
