"""Requests by a name that the service does not answer to are refused.

A page of another site can let its own name point at this machine (DNS rebinding); its requests have
that name in their Host header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from ...errors import DeployError, for_display


def check_patterns(patterns: Sequence[str]) -> None:
    """Refuse what is no name to answer to.

    Raises:
        DeployError: a pattern that is neither a name, nor ``*.`` and a domain, nor ``*``.
    """
    for pattern in patterns:
        name = pattern[2:] if pattern.startswith("*.") else pattern
        if pattern != "*" and (not name or not name.isprintable() or set(name) & set("*/ @,")):
            raise DeployError(
                f"--allowed-host is '{for_display(pattern)}', expected a name such as "
                "'example.com', '*.example.com' or '*'."
            )


class KnownHosts:
    """Answer requests by known names, and refuse others with a sentence.

    Starlette's own middleware says "Invalid host header" as plain text, where all other refusals
    of this service are JSON.

    Args:
        app: the application behind.
        patterns: names, without a port; ``*.`` and a domain for all names below it; ``*`` for all.
    """

    def __init__(self, app: Any, patterns: Sequence[str]) -> None:
        self._app = app
        self._patterns = [pattern.lower() for pattern in patterns]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what is no request, such as the start of the service."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("host", "")
        if self._knows(host_name(given)):
            await self._app(scope, receive, send)
            return
        error = (
            f"the service does not answer to the host '{for_display(given)}'; "
            "whoever runs it can allow names by --allowed-host"
        )
        await JSONResponse({"error": error}, 400)(scope, receive, send)

    def _knows(self, name: str) -> bool:
        return any(
            pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
            for pattern in self._patterns
        )


def host_name(host: str) -> str:
    """Return the name or address of a Host header, in lower case: ``[::1]`` of ``[::1]:8000``."""
    name, bracket, _ = host.partition("]")
    return (name + bracket if bracket else host.partition(":")[0]).lower()
