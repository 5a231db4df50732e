"""What gives a program its fitness: caches, hurdles and an evaluator."""
