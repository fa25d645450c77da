"""What libraries work out anew for every app and every client, worked out once for a process.

Thousands of tests make an app of their own. Each of these results depends on nothing but what it's
remembered by, so no test can see that another one came before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

import redis.utils
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import BaseConverter, Rule
from werkzeug.routing.rules import RulePart

__all__ = ["remember"]


def remember() -> None:
    """Let routes and templates be compiled once, and redis-py look up its version once."""
    Rule.compile = _once(Rule.compile)  # type: ignore[assignment, method-assign]
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": _Templates()}
    redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What werkzeug makes of a route: all but its place among those of its app."""

    parts: list[RulePart]
    trace: list[tuple[bool, str]]
    converters: dict[str, BaseConverter]
    arguments: frozenset[str]
    build: Callable[..., tuple[str, str]]
    build_unknown: Callable[..., tuple[str, str]]

    @classmethod
    def of(cls, rule: Any) -> _Compiled:
        builders = (rule._build.__func__, rule._build_unknown.__func__)
        arguments = frozenset(rule.arguments)
        return cls(rule._parts, rule._trace, rule._converters, arguments, *builders)

    def give(self, rule: Any) -> None:
        rule._parts, rule._trace, rule._converters = self.parts, self.trace, self.converters
        rule.arguments |= self.arguments
        rule._build = self.build.__get__(rule, None)
        rule._build_unknown = self.build_unknown.__get__(rule, None)


def _once(compiled: Callable[[Rule], None]) -> Callable[[Rule], None]:
    known: dict[object, _Compiled] = {}

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        known_by = (
            (rule.rule, rule.subdomain, rule.host, rule.merge_slashes, rule.map.host_matching),
            frozenset(rule.map.converters.items()),
            frozenset((rule.defaults or {}).items()),
        )
        if known_by in known:
            known[known_by].give(rule)
        else:
            compiled(rule)
            known[known_by] = _Compiled.of(rule)

    return compile_once


class _Templates(BytecodeCache):
    """The code of templates, by their names and sources."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._kept[bucket.key, bucket.checksum] = bucket.code
