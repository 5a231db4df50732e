"""Evolution and random search over programs, on the host."""
