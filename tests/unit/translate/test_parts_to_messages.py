"""Chat's content parts as Messages blocks."""

import json
from typing import Any

import msgspec
import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.dispositions import CHAT
from tollbridge.translate.parts_to_messages import part_to_block
from tollbridge.wire.chat.requests import Part


def block(part: dict[str, Any]) -> Any:
    got = part_to_block(msgspec.json.decode(json.dumps(part), type=Part), "p")
    return got and json.loads(msgspec.json.encode(got))


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


@pytest.mark.parametrize(
    "part", [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "x"}]
)
def test_text(part: dict[str, Any]) -> None:
    assert block(part) == {"type": "text", "text": "x"}


@pytest.mark.parametrize("text", ["", " \n", None])
def test_litellm_22930_empty_text_is_no_block(text: str | None) -> None:
    assert block({"type": "text", "text": text}) is None


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (
            "data:image/png;base64,/9j/AAAA",
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AAAA"},
        ),
        (
            "data:image/jpg;charset=x;base64,QUJD",
            {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"},
        ),
        ("https://example.com/a.png", {"type": "url", "url": "https://example.com/a.png"}),
    ],
)
def test_images_are_what_their_bytes_say(url: str, source: dict[str, str]) -> None:
    assert block(image(url)) == {"type": "image", "source": source}


def test_a_file_is_a_document() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0"}
    for data in ("JVBERi0", "data:application/pdf;base64,JVBERi0"):
        got = block(file(file_data=data, filename="a.pdf"))
        assert got == {"type": "document", "source": source, "title": "a.pdf"}


def test_a_text_file_is_a_text_document() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "a,é"}
    got = block(file(file_data="data:text/csv;base64,YSzDqQ=="))
    assert got == {"type": "document", "source": source}


@pytest.mark.parametrize(
    ("part", "code", "field"),
    [
        ({"type": "input_audio"}, ErrorCode.FIELD_UNSUPPORTED, "p"),
        ({"type": "image_url"}, ErrorCode.FIELD_INVALID, "p.image_url"),
        (image("data:image/bmp;base64,Qk0"), ErrorCode.FIELD_INVALID, "p.image_url.url"),
        (image("data:image/png,raw"), ErrorCode.FIELD_INVALID, "p.image_url.url"),
        (image("file:///etc/passwd"), ErrorCode.FIELD_INVALID, "p.image_url.url"),
        ({"type": "file"}, ErrorCode.FIELD_UNSUPPORTED, "p.file"),
        (file(file_id="f"), ErrorCode.FIELD_UNSUPPORTED, "p.file"),
        (
            file(file_data="data:text/plain;base64,/w=="),
            ErrorCode.FIELD_INVALID,
            "p.file.file_data",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(part: dict[str, Any], code: ErrorCode, field: str) -> None:
    assert part["type"] in CHAT["content part"]
    with pytest.raises(GatewayError) as caught:
        block(part)
    assert (caught.value.code, caught.value.field) == (code, field)
