"""Batches of programs on devices: the evaluator, its executors, and what they share."""
