"""GitHub's published API description → `github-openapi.json`: the operations that the stand-in speaks.

In: the package `@octokit/openapi` as `npm pack` gives it. Out: JSON with paths, the schemas they name,
source, version and licence. Prose, defaults and examples are left out, `nullable` is written as JSON
Schema's type "null"; nothing else is changed.

    npm pack @octokit/openapi && python -m testing.github.extract_openapi octokit-openapi-*.tgz
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OPERATIONS = {
    "/app/hook/deliveries": ("get",),
    "/app/hook/deliveries/{delivery_id}": ("get",),
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/git/ref/{ref}": ("get",),
    "/repos/{owner}/{repo}/commits/{commit_sha}/branches-where-head": ("get",),
    "/repos/{owner}/{repo}/compare/{basehead}": ("get",),
    "/repos/{owner}/{repo}/contents/{path}": ("get",),
    "/repos/{owner}/{repo}/deployments": ("get", "post"),
    "/repos/{owner}/{repo}/deployments/{deployment_id}": ("get",),
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ("get", "post"),
    "/repos/{owner}/{repo}/hooks": ("get",),
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries": ("get",),
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}": ("get",),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("patch",),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/git/trees/{tree_sha}": ("get",),
}
TARGET = Path(__file__).parent / "github-openapi.json"
_DOCUMENT = "package/generated/api.github.com.json"
_PROSE = {
    "description",
    "example",
    "examples",
    "title",
    "deprecated",
    "externalDocs",
    "discriminator",
    "default",
}
_SCHEMAS = "#/components/schemas/"


def extract(document: dict[str, Any], version: str) -> dict[str, Any]:
    """Returns the used part of GitHub's description."""
    paths = {
        path: {method: _operation(document, path, method) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    return {
        "note": "Extracted by testing/github/extract_openapi.py; do not edit.",
        "source": f"npm @octokit/openapi {version}, {_DOCUMENT.removeprefix('package/')}",
        "licence": "MIT, Copyright (c) 2020 Octokit contributors; description (c) GitHub, MIT",
        "paths": paths,
        "components": {"schemas": dict(sorted(_closure(document, paths).items()))},
    }


def _operation(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    operation = document["paths"][path][method]
    found: dict[str, Any] = {
        "operationId": operation["operationId"],
        "parameters": [_parameter(document, item) for item in operation["parameters"]],
        "responses": {code: _body(document, answer) for code, answer in operation["responses"].items()},
    }
    if "requestBody" in operation:
        found["requestBody"] = _body(document, operation["requestBody"])
    return found


def _parameter(document: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    parameter = _resolve(document, parameter)
    kept = {"name": parameter["name"], "in": parameter["in"], "required": parameter.get("required", False)}
    return {**kept, "schema": plain(parameter["schema"])}


def _body(document: dict[str, Any], holder: dict[str, Any]) -> Any:
    """Returns the JSON schema of a request or an answer, or None without a JSON body."""
    media = _resolve(document, holder).get("content", {}).get("application/json")
    return plain(media["schema"]) if media else None


def _resolve(document: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in item:
        value: Any = document
        for part in item["$ref"].removeprefix("#/").split("/"):
            value = value[part]
        item = value
    return item


def plain(schema: Any) -> Any:
    """Converts a schema of OpenAPI 3.0 to JSON Schema, without prose."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: plain(item) for name, item in value.items()}
        elif key not in _PROSE and not key.startswith("x-"):
            kept[key] = plain(value)
    return {"anyOf": [kept, {"type": "null"}]} if kept.pop("nullable", False) else kept


def _closure(document: dict[str, Any], start: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = list(_references(start))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = plain(document["components"]["schemas"][name])
            waiting.extend(_references(found[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_SCHEMAS)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def main(package: str) -> None:
    with tarfile.open(package) as archive:
        document, manifest = archive.extractfile(_DOCUMENT), archive.extractfile("package/package.json")
        if document is None or manifest is None:
            raise SystemExit(f"{package} is not @octokit/openapi")
        part = extract(json.load(document), json.load(manifest)["version"])
    TARGET.write_text(json.dumps(part, indent=1) + "\n", encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes, {len(part['components']['schemas'])} schemas")


if __name__ == "__main__":
    main(sys.argv[1])
