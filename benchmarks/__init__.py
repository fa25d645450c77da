"""Benchmarks of a whole LambdaQueue on this machine: `python -m benchmarks`, see README.md."""
