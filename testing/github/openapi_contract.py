"""GitHub's published API description as a check. In: a request or an answer. Out: its violations of the
description.

Stricter than GitHub in one point: an unknown property or query parameter is a violation, so that a misspelt
one is found. Never sends or answers a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

_SEGMENTS = {"path": r".+", "ref": r".+"}
MAX_DESCRIPTION = 140  # documented in prose only: REST "Create a deployment status"


@dataclass(frozen=True)
class Operation:
    """One operation of the description, and the values in the path."""

    id: str
    described: Mapping[str, Any]
    values: Mapping[str, str]


class Contract:
    """The operations of `github-openapi.json`."""

    def __init__(self) -> None:
        self._document = json.loads(
            Path(__file__).with_name("github-openapi.json").read_text(encoding="utf-8")
        )
        self._routes = [(_pattern(path), methods) for path, methods in self._document["paths"].items()]

    def operation(self, method: str, path: str) -> Operation | None:
        """Returns the operation of a request, or None if the description has none."""
        for pattern, methods in self._routes:
            match = pattern.fullmatch(path)
            if match and method.lower() in methods:
                described = methods[method.lower()]
                values = {name: unquote(value) for name, value in match.groupdict().items()}
                return Operation(described["operationId"], described, values)
        return None

    def judge_request(self, operation: Operation, query: Mapping[str, str], body: object) -> list[str]:
        """Returns the violations of a request against GitHub's description or its prose."""
        known = {item["name"] for item in operation.described["parameters"] if item["in"] == "query"}
        wrong = [f"query parameter {name} is unknown" for name in query if name not in known]
        schema = operation.described.get("requestBody")
        if schema is None:
            return wrong
        properties = schema["properties"]
        if isinstance(body, dict):
            wrong += [f"property {name} is unknown" for name in body if name not in properties]
            if len(body.get("description") or "") > MAX_DESCRIPTION:
                wrong.append(f"description is longer than {MAX_DESCRIPTION} characters")
        return wrong + self._errors(schema, body)

    def judge_answer(self, operation: Operation, status: int, body: object) -> list[str]:
        """Returns the violations of an answer that GitHub would not give."""
        responses = operation.described["responses"]
        if str(status) not in responses:
            return [f"{operation.id} never answers {status}"]
        schema = responses[str(status)]
        return self._errors(schema, body) if schema else []

    def example(self, schema_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the smallest valid value of a named schema, with `given` properties."""
        value = self._example({"$ref": f"#/components/schemas/{schema_name}"})
        return {**value, **given}

    def _errors(self, schema: Mapping[str, Any], value: object) -> list[str]:
        whole = {**schema, "components": self._document["components"]}
        return [
            f"{error.json_path}: {error.message[:300]}"
            for error in Draft202012Validator(whole).iter_errors(value)
        ]

    def _example(self, schema: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            return self._example(self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self._example(schema[key][0])
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        if kind == "object":
            properties = schema.get("properties", {})
            return {name: self._example(properties[name]) for name in schema.get("required", ())}
        if schema.get("format") == "uri":
            return "https://example.invalid/"
        return {"string": "", "integer": 1, "boolean": False, "array": []}.get(kind or "")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(r"\{(\w+)\}", lambda found: f"(?P<{found[1]}>{_SEGMENTS.get(found[1], '[^/]+')})", path)
    )
