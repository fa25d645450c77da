"""How requests are read: rules of fields, options in headers, what is ordered by them. Pure.

The server (`api`) and the in-memory one (`testing`) take the same requests and refuse the same.
"""

from __future__ import annotations

__all__: list[str] = []
