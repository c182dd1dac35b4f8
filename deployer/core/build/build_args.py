"""Build arguments. In: names and values, Dockerfiles' text. Out: the declared names, and the arguments that
look like secrets.

Anyone who can pull an image can read its build arguments (`docker history`), so a secret among them is
public. A secret is recognised by its value (a private key, a token of a known format, a password in an
address), or by its name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARG = re.compile(r"^[ \t]*ARG[ \t]+((?:\\\r?\n|[^\n])*)", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"""([A-Za-z_]\w*)(?:=(?:"[^"]*"|'[^']*'|\S*))?""")
_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*[=:][ \t]*(.*)$", re.MULTILINE)

_SECRET_NAME = re.compile(
    r"(?:.*_)?(?:SECRET|SECRETS|SECRET_KEY|SERVICE_KEY|SERVICE_ROLE(?:_KEY)?|PRIVATE_KEY|PASSWORD|PASSWD|PASSPHRASE"
    r"|API_SECRET|CLIENT_SECRET|ACCESS_TOKEN|AUTH_TOKEN|SECRET_TOKEN|ENCRYPTION_KEY|SIGNING_KEY|ADMIN_KEY"
    r"|SECRET_ACCESS_KEY|CREDENTIALS?|DATABASE_URL|DB_URL|DSN_PASSWORD)",
    re.IGNORECASE,
)
# Every repetition is bounded: values are hostile too, and a search must not take quadratic time.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{1,2000}\.(eyJ[A-Za-z0-9_-]{1,8000})\.[A-Za-z0-9_-]{0,100}")
_PUBLIC_ROLES = ("anon", "authenticated")
_SECRET_VALUES = (
    (re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,5}PRIVATE KEY"), "holds a private key"),
    (re.compile(r"[a-zA-Z]://[^\s/:@]{0,500}:[^\s/@]{1,500}@"), "holds an address with a password"),
    (
        re.compile(
            r"gh[pousr]_[A-Za-z0-9]{30}|github_pat_\w{20}|glpat-[\w-]{20}|sk_(?:live|test)_\w{16}|rk_live_\w{16}"
            r"|sk-(?:ant-|proj-)?[\w-]{20}|AKIA[A-Z0-9]{16}|xox[abprs]-[\w-]{10}|sb_secret_\w{10}|npm_[A-Za-z0-9]{30}"
            r"|dckr_pat_[\w-]{20}|SG\.[\w-]{16}\.[\w-]{16}|whsec_\w{16}"
        ),
        "holds a token of a known make",
    ),
)


def why_secret(name: str, value: str) -> str:
    """Returns why an argument looks like a secret; empty if it does not."""
    for pattern, reason in _SECRET_VALUES:
        if pattern.search(value):
            return reason
    role = next(filter(None, map(_role, _JWT.findall(value))), "")
    if role:
        return f"holds a JWT with the role {role}"
    # An empty value reveals nothing.
    return "has a secret's name" if value.strip() and _SECRET_NAME.fullmatch(name) else ""


def _role(claims: str) -> str:
    """Returns the role that a JWT grants, unless it is one that every browser may have."""
    try:
        table = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, RecursionError):
        return ""
    role = table.get("role") if isinstance(table, dict) else None
    return role if isinstance(role, str) and role not in _PUBLIC_ROLES else ""


def find_secrets(arguments: Mapping[str, str], allowed: frozenset[str]) -> dict[str, str]:
    """Returns name → reason of arguments that look like secrets and are not allowed by name."""
    found = {name: why_secret(name, value) for name, value in arguments.items() if name not in allowed}
    return {name: reason for name, reason in found.items() if reason}


def parse_names(text: str) -> frozenset[str]:
    """Parses an input's list of names, separated by commas or white space. Raises ValueError."""
    names = re.split(r"[\s,]+", text.strip()) if text.strip() else []
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(name)
    return frozenset(names)


def declared_in(dockerfile: str) -> frozenset[str]:
    """Returns the names that a Dockerfile's ARG lines declare."""
    lines = (re.sub(r"\\\r?\n", " ", line) for line in _ARG.findall(dockerfile))
    return frozenset(name for line in lines for name in _WORD.findall(line))


def lines_of(text: str) -> dict[str, str]:
    """Returns an env file's names and values, roughly: enough to look for secrets, not to build with."""
    return {name: value.strip().strip("\"'") for name, value in _LINE.findall(text)}
