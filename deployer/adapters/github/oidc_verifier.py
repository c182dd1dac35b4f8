"""OIDC tokens of GitHub Actions. In: a bearer token and its audience. Out: its verified claims, or
TokenRejected. Never decides which deploys the claims allow.

Keys come from `<issuer>/.well-known/jwks` only: no header of a token (`jku`, `x5u`, `jwk`) is followed. They
are kept by `kid` and on disk, so that an outage of the issuer, also across a restart, stops no deployment.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from deployer.adapters.system.files import file_mode, write_whole
from deployer.core.errors import ConfigError, DeployerError, TokenRejected
from deployer.io.http_client import ServerUnavailable, open_stream

LEEWAY = 30  # seconds that two clocks may differ
_MAX_TOKEN = 16_384
_MAX_LIFETIME = 3_600  # GitHub's tokens live for 5 minutes
_MAX_JWKS = 65_536
_TIMEOUT = 5.0
_FRESH = 3_600.0  # seconds after which the keys are fetched again
_STALE = 86_400.0  # seconds after which keys that could not be refreshed are no longer trusted
_COOLDOWN = 60.0  # seconds between two fetches, so that invented `kid`s cannot flood the issuer
_RETRY = 5.0  # seconds after a failed fetch
_CLAIMS = ["iss", "iat", "exp", "aud", "jti"]
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.InvalidAudienceError, "its audience is not this server and this body"),
    (jwt.InvalidIssuerError, "it is from another issuer"),
    (jwt.InvalidAlgorithmError, "it is not signed with RS256"),
    (jwt.InvalidSignatureError, "its signature does not fit"),
    (jwt.MissingRequiredClaimError, f"it lacks one of {', '.join(_CLAIMS)}"),
)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,260}(/[A-Za-z0-9._~/-]{0,200})?")
_FRESH_TOKEN = "the action asks for a fresh token for every request it sends"
_log = logging.getLogger("deployer.oidc")


class IssuerUnavailable(DeployerError):
    """The issuer's keys cannot be fetched, so no token can be verified now."""

    code = "issuer-unavailable"
    http_status = 503


class OidcVerifier:
    """Verifies tokens of one issuer. `keys_file` keeps its keys across restarts."""

    def __init__(self, issuer: str, keys_file: Path) -> None:
        _check_issuer(issuer)
        self._issuer = issuer
        self._keys = KeyRing(f"{issuer}/.well-known/jwks", keys_file)

    def verify_token(self, token: str, audience: str) -> Mapping[str, object]:
        """Returns the claims. Raises TokenRejected with a reason that contains nothing of the token but the
        server that it was made for, or IssuerUnavailable.
        """
        key = self._keys.find(_key_id(token))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": _CLAIMS, "strict_aud": True},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            _reject_time(_signed_claims(token, key), time.time())
        except jwt.PyJWTError as error:
            if isinstance(error, jwt.InvalidAudienceError):
                _reject_other_server(_signed_claims(token, key).get("aud"), audience)
            _reject(next((reason for kind, reason in _REASONS if isinstance(error, kind)), "it is malformed"))
        if not isinstance(claims["jti"], str) or not 0 < len(claims["jti"]) <= 200:
            _reject("its jti is malformed")
        if claims["exp"] - claims["iat"] > _MAX_LIFETIME:
            _reject("its lifetime is too long")
        return claims


class KeyRing:
    """Public keys at `url`, by `kid`."""

    def __init__(self, url: str, file: Path) -> None:
        self._url = url
        self._file = file
        self._lock = threading.Lock()
        self._ask_again = 0.0  # monotonic
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched_at = 0.0
        self._load()

    def find(self, kid: str) -> RSAPublicKey:
        """Returns the key. Fetches the issuer's keys if the `kid` is unknown or the keys are old."""
        if kid not in self._keys or time.time() - self._fetched_at > _FRESH:
            with self._lock:
                self._refresh(kid)
        if time.time() - self._fetched_at > _STALE:
            raise IssuerUnavailable(
                "the OIDC issuer's keys cannot be fetched", hint=f"the server must reach {self._url}"
            )
        if kid not in self._keys:
            _reject("it is signed with a key that the issuer does not publish")
        return self._keys[kid]

    def _refresh(self, kid: str) -> None:
        """Fetches the keys at most once in a cooldown; a thread that waited for the lock uses the result of
        the thread before.
        """
        known = kid in self._keys and time.time() - self._fetched_at <= _FRESH
        if known or time.monotonic() < self._ask_again:
            return
        try:
            text = _fetch(self._url)
            keys = _read_keys(json.loads(text))
        except (ServerUnavailable, ValueError) as error:
            _log.warning("the OIDC issuer's keys cannot be fetched from %s: %s", self._url, error)
            self._ask_again = time.monotonic() + _RETRY
            return
        self._keys, self._fetched_at = keys, time.time()
        self._ask_again = time.monotonic() + _COOLDOWN
        self._save(text)

    def _load(self) -> None:
        try:
            kept = json.loads(self._file.read_text("utf-8"))
            if kept["url"] == self._url:
                self._keys, self._fetched_at = _read_keys(kept["jwks"]), float(kept["fetched_at"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be used: %s", self._file.name, error)

    def _save(self, text: str) -> None:
        kept = {"url": self._url, "fetched_at": self._fetched_at, "jwks": json.loads(text)}
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(kept), file_mode(self._file.parent))
        except OSError as error:
            _log.warning("%s cannot be kept: %s", self._file.name, error)


def _fetch(url: str) -> str:
    """Returns the answer's text. Raises ServerUnavailable or ValueError; ends after `_TIMEOUT` even if the
    answer trickles, and follows no redirect.
    """
    deadline = time.monotonic() + _TIMEOUT
    with open_stream("GET", url, headers={}, timeout=_TIMEOUT) as answer:
        if not 200 <= answer.status < 300:
            raise ValueError(f"HTTP Error {answer.status}: {answer.reason}")
        content = answer.read_whole(_MAX_JWKS + 1, deadline)
    if len(content) > _MAX_JWKS:
        raise ValueError("the answer is too long")
    return content.decode("utf-8")


def _read_keys(jwks: Any) -> dict[str, RSAPublicKey]:
    """Returns the keys by `kid`, without the types that RS256 cannot use. Raises ValueError if no usable key
    is left.
    """
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        raise ValueError("not a JSON Web Key Set")
    keys = {str(key["kid"]): _read_key(key) for key in jwks["keys"] if _signs(key)}
    if not keys:
        raise ValueError("no RSA key in the JSON Web Key Set")
    return keys


def _signs(key: Any) -> bool:
    return (
        isinstance(key, dict) and key.get("kty") == "RSA" and "kid" in key and key.get("use", "sig") == "sig"
    )


def _read_key(key: Mapping[str, Any]) -> RSAPublicKey:
    try:
        public = RSAAlgorithm.from_jwk(dict(key))
    except jwt.InvalidKeyError:
        raise ValueError("a key in the JSON Web Key Set cannot be read") from None
    if not isinstance(public, RSAPublicKey):
        raise ValueError("a private key in the JSON Web Key Set")
    return public


def _key_id(token: str) -> str:
    if len(token) > _MAX_TOKEN:
        _reject("it is too long")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        _reject("it is not a JSON Web Token")
    if header.get("alg") != "RS256" or "crit" in header:
        _reject("it is not signed with RS256")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= 200:
        _reject("it names no key")
    return kid


def _signed_claims(token: str, key: RSAPublicKey) -> dict[str, Any]:
    """Returns the claims of a token whose signature is good, to say why they are refused."""
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        options={
            "verify_aud": False,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_iss": False,
        },
    )
    return claims


def _reject_time(claims: Mapping[str, Any], now: float) -> NoReturn:
    """Raises TokenRejected with the difference that this server's clock shows. The action's tokens are some
    seconds old, so a clock is wrong by about as much.
    """
    ahead = now - float(claims["exp"])
    if ahead > 0:
        _reject(f"it has expired, {ahead:.0f} s ago by this server's clock", hint=_clock("ahead", ahead))
    behind = max(float(claims.get(name) or 0) for name in ("iat", "nbf")) - now
    _reject(f"it is not valid yet, for {behind:.0f} s by this server's clock", hint=_clock("behind", behind))


def _clock(way: str, seconds: float) -> str:
    return (
        f"{_FRESH_TOKEN}; so this server's clock is probably {way}, by {seconds:.0f} s or a little more:"
        " `timedatectl` shows whether it is synchronised"
    )


def _reject_other_server(found: object, audience: str) -> None:
    """Raises TokenRejected if the token was made for this server under another address."""
    theirs, ours = (str(text).partition("#")[0] for text in (found, audience))
    if _ORIGIN.fullmatch(theirs) and theirs != ours:
        _reject(
            f"its audience is {theirs}, and this server is {ours}",
            hint="write the action's input server and server.url of the settings alike; localhost and"
            " 127.0.0.1 are two names",
        )


def _reject(reason: str, *, hint: str = _FRESH_TOKEN) -> NoReturn:
    raise TokenRejected(f"the OIDC token is not accepted: {reason}", hint=hint)


def _check_issuer(issuer: str) -> None:
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ConfigError("oidc.issuer", "should be https://; http only on this machine")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
