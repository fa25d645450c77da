"""Constant time by construction: what comes out of an HMAC is compared by compare_digest alone.

The rule, held against the source: an HMAC may be written otherwise (base64, hex), kept in a name,
returned, or given to hmac.compare_digest. Every other use of it, a comparison above all, is a
finding, and so is giving it to a function that isn't known here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

from lambdaqueue import legacy_signing, proofs, signing

MODULES = [signing, legacy_signing, proofs]
SOURCES = {module.__name__: inspect.getsource(module) for module in MODULES}

COMPARE = "hmac.compare_digest"
MAKES_HMACS = frozenset({"hmac.digest", "hmac.new"})
WRITES = frozenset({"binascii.b2a_base64", "' '.join", "b' '.join"})
MAY_TAKE_HMACS = frozenset({"hmac.digest", COMPARE, *WRITES})
MAY_BE_ASKED = frozenset({"decode", "encode", "hex", "digest", "hexdigest"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Reader(ast.NodeVisitor):
    """Follows HMACs through one function; `makers` are the functions that return one."""

    def __init__(self, makers: frozenset[str]) -> None:
        self.makers = makers
        self.names: set[str] = set()
        self.findings: set[str] = set()
        self.returns_one = False

    def holds_one(self, node: ast.AST) -> bool:
        """Tell whether an HMAC, or something made of one, is in the value of `node`."""
        match node:
            case ast.Call() if ast.unparse(node.func) == COMPARE:
                return False
            case ast.Call() if ast.unparse(node.func) in self.makers:
                return True
            case ast.Name():
                return node.id in self.names
            case ast.GeneratorExp() | ast.ListComp() | ast.SetComp():
                return self.holds_one(node.elt)
        return any(self.holds_one(child) for child in ast.iter_child_nodes(node))

    def visit(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                self._keep(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._keep([target], value)
            case ast.NamedExpr(target=target, value=value):
                self._keep([target], value)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                self._keep([target], value)
            case ast.Return(value=ast.expr() as value):
                self.returns_one |= self.holds_one(value)
            case ast.Compare() | ast.Match() | ast.Subscript() if self.holds_one(node):
                self.findings.add(ast.unparse(node))
            case ast.Call():
                self._check(node)
        self.generic_visit(node)

    def _keep(self, targets: list[ast.expr], value: ast.expr) -> None:
        if self.holds_one(value):
            names = [n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            self.names |= {name.id for name in names}

    def _check(self, call: ast.Call) -> None:
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        known = ast.unparse(call.func) in MAY_TAKE_HMACS | self.makers
        if not known and any(self.holds_one(value) for value in given):
            self.findings.add(ast.unparse(call))
        match call.func:
            case ast.Attribute(value=asked, attr=name) if name not in MAY_BE_ASKED:
                if self.holds_one(asked):
                    self.findings.add(ast.unparse(call))


def _functions(sources: dict[str, str]) -> Iterator[Function]:
    for source in sources.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, Function):
                yield node


def _read(function: Function, makers: frozenset[str]) -> _Reader:
    """Read a function again and again, until no more names in it hold HMACs."""
    reader = _Reader(makers)
    known = -1
    while known < len(reader.names):
        known = len(reader.names)
        reader.findings.clear()
        reader.visit(function)
    return reader


def _findings(sources: dict[str, str]) -> set[str]:
    functions = list(_functions(sources))
    makers: frozenset[str] = frozenset()
    found = MAKES_HMACS
    while found != makers:
        makers = found
        found = makers | {f.name for f in functions if _read(f, makers).returns_one}
    return {finding for f in functions for finding in _read(f, makers).findings}


class _Careless(ast.NodeTransformer):
    """Replaces the `at`-th compare_digest of a module, which is called as `ours, theirs`."""

    def __init__(self, at: int, template: str) -> None:
        self.at, self.template, self.seen = at, template, 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.func) != COMPARE:
            return node
        self.seen += 1
        if self.seen - 1 != self.at:
            return node
        a, b = map(ast.unparse, node.args)
        return ast.parse(self.template.format(a=a, b=b), mode="eval").body


# The one in _is_one_of compares hashes of URLs, which are no secrets.
COMPARISONS = [(signing, 0), (legacy_signing, 0), (proofs, 0), (proofs, 1)]


def test_hmacs_are_compared_in_constant_time_only() -> None:
    assert _findings(SOURCES) == set()


@pytest.mark.parametrize(("module", "at"), COMPARISONS)
@pytest.mark.parametrize(
    "template",
    [
        "{a} == {b}",
        "{b} == {a}",
        "not {a} != {b}",
        "{b} in {a}",
        "{b} in [{a}]",
        "{b} in {{{a}}}",
        "{a}.startswith({b})",
        "{b}.startswith({a})",
        "operator.eq({a}, {b})",
        "same(ours={a}, theirs={b})",
        "{{{a}: True}}[{b}]",
        "(ours := {a}) == {b}",
    ],
)
def test_another_comparison_would_be_found(module: ModuleType, at: int, template: str) -> None:
    careless = _Careless(at, template)
    changed = ast.unparse(careless.visit(ast.parse(SOURCES[module.__name__])))
    assert careless.seen > at
    assert _findings({**SOURCES, module.__name__: changed})


def test_each_function_that_compares_is_among_them() -> None:
    calls = [source.count(COMPARE) for source in SOURCES.values()]
    assert calls == [1, 1, 3]
