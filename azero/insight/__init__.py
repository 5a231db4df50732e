"""What was found, and how good it is: motifs, tuning, baselines, statistics, plots."""
