"""The fast executor: waves of one op, many programs and all tasks at once."""
