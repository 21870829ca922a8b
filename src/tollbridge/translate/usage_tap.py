"""The usage in the upstream's own words, for the receipt.

The bridges read the counts; what a vendor says besides them (service tiers, audio tokens, costs) is
kept here byte for byte, whatever the protocol.
"""

import msgspec

from tollbridge.translate.turn_views import UsageReport
from tollbridge.units import KIB, RAW_USAGE_CHARS_MAX

LINE_BYTES_MAX = 64 * KIB
"""A longer line is an event full of text; it reports no usage worth keeping."""

MEMBER = b'"usage"'
"""Cannot stand inside a JSON string, where its quotes would be escaped."""


_decoder = msgspec.json.Decoder(UsageReport)


class UsageTap:
    """Looks at an answer's bytes as they pass; keeps the first and the last report."""

    __slots__ = ("_line", "_reports")

    def __init__(self) -> None:
        self._line = b""
        self._reports: list[str] = []

    def whole(self, body: bytes) -> None:
        """A one-shot answer."""
        if body.find(MEMBER) >= 0:
            self._note(body)

    def feed(self, data: bytes) -> None:
        """Bytes of an event stream, cut anywhere."""
        if self._line:
            data = self._line + data
        if data.endswith(b"\n"):
            self._line = b""
        else:
            cut = data.rfind(b"\n") + 1
            self._line = data[cut:] if len(data) - cut <= LINE_BYTES_MAX else b""
            data = data[:cut]
        at = data.find(MEMBER)
        while at >= 0:
            start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
            if data.startswith(b"data:", start):
                self._note(data[start + 5 : end])
            at = data.find(MEMBER, end)

    def text(self) -> str:
        """The report as JSON, or a JSON array of the first and the last; empty if there is none."""
        text = self._reports[0] if len(self._reports) == 1 else f"[{','.join(self._reports)}]"
        return text if self._reports and len(text) <= RAW_USAGE_CHARS_MAX else ""

    def _note(self, data: bytes) -> None:
        try:
            report = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        for holder in (report, report.message, *(report.choices or ())):
            if holder is not None and bytes(holder.usage) != b"null":
                text = bytes(holder.usage).decode(errors="replace")
                if text not in self._reports:
                    self._reports[1:] = [text]
                return
