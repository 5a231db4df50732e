"""The life of a run: runner, recorder, directory, checkpoints, metrics, and who reads them."""
