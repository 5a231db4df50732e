"""The method of the paper, on the host: evolution and random search over programs."""
