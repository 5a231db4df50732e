"""Static analysis of programs, in NumPy over whole batches."""
