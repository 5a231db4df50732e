"""Experiments of the paper and on your own data; each is run with python -m."""
