"""The API's outside, without a web framework: the JSON of its answers and errors, names in paths.

Whoever speaks for LambdaQueue uses it: `api`, and `lambdaqueue.testing` in memory.
"""

from __future__ import annotations

__all__: list[str] = []
