"""What a run shows: progress, live view, TensorBoard curves."""
