"""Differences from waitress in reading and writing. In: a request's header, an answer's body. Out: parser,
task.
"""

from __future__ import annotations

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import WSGITask


class Parser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """Refuses a request with both a length and chunks, which waitress would accept: a proxy in front may see
    the request's end elsewhere (RFC 9112, 6.1).
    """

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError:  # Python refuses to parse a number with thousands of digits
            raise ParsingError("Content-Length is not a number") from None
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")


class Task(WSGITask):  # type: ignore[misc] # waitress has no types
    """Sends a short answer in one piece; waitress would send its head alone, and then its body."""

    def write(self, data: bytes) -> None:
        begun = bool(self.wrote_header)
        if begun or not self.complete or not data or len(data) != self.content_length:
            super().write(data)
            return
        head = self.build_response_header()
        self.wrote_header: bool = True
        if self.has_body:
            self.content_bytes_written = len(data)
            self.channel.write_soon(head + data)
        else:
            self.channel.write_soon(head)
