"""Requests that two servers could read in two ways. In: a request's header. Out: waitress' parser, or 400."""

from __future__ import annotations

from waitress.parser import HTTPRequestParser, ParsingError


class Parser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """With a length and chunks at once, a proxy in front may see the request's end elsewhere (RFC 9112, 6.1);
    waitress would take it.
    """

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")
