"""What programs do: interpreter, evaluation of a task, evaluator of batches, in JAX."""
