"""Code of the docs, run as a reader would: statement by statement, on a LambdaQueue in memory."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lambdaqueue import LambdaQueue
from lambdaqueue.testing import Memory, in_memory
from tests.markdown import Block

__all__ = ["BASE_URL", "Reading"]

BASE_URL = "https://app.example.com"

SAID = re.compile(r"  # → (.+)$")
"""A comment behind an expression that says what its value is."""


class Reading:
    """Runs blocks one after the other in one namespace, `names`.

    As soon as there is an `lq` it's put into memory, where `start` is the present. What a comment
    `# → …` says of an expression must be the `repr` of its value.
    """

    def __init__(
        self, page: Path, given: Mapping[str, Any] | None = None, *, start: datetime | None = None
    ) -> None:
        self.names: dict[str, Any] = {"__name__": "application", **(given or {})}
        self.memory: Memory
        self.checked = 0
        self._page = page
        self._start = start
        self._stack = ExitStack()
        self._client: LambdaQueue | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    def run(self, blocks: Iterable[Block]) -> None:
        """Run blocks. Their lines have the numbers that they have in the page."""
        for block in blocks:
            text = "\n" * (block.line - 1) + block.text
            lines = text.splitlines()
            for statement in ast.parse(text, str(self._page)).body:
                said = SAID.search(lines[(statement.end_lineno or 1) - 1])
                self._do(statement, said[1] if said else None)
                self._put_into_memory()

    def _do(self, statement: ast.stmt, said: str | None) -> None:
        where = f"{self._page.name}:{statement.lineno}"
        if said is None:
            exec(compile(ast.Module([statement], []), str(self._page), "exec"), self.names)
            return
        assert isinstance(statement, ast.Expr), f"{where}: {said} is said of no expression"
        expression = compile(ast.Expression(statement.value), str(self._page), "eval")
        found = repr(eval(expression, self.names))
        assert found == said, f"{where} says {said}, and it is {found}"
        self.checked += 1

    def _put_into_memory(self) -> None:
        client = self.names.get("lq")
        if isinstance(client, LambdaQueue) and client is not self._client:
            self._client = client
            taken = in_memory(client, base_url=BASE_URL, start=self._start)
            self.memory = self._stack.enter_context(taken)
