"""LambdaQueue: a job queue and scheduler for code that runs behind HTTP."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
