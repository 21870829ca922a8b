"""Chat's content parts as Messages blocks (protocol notes B.3, C.4)."""

import re
from base64 import b64decode

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.tables import IMAGE_MEDIA_TYPES, image_media_type
from tollbridge.wire.chat.requests import Part
from tollbridge.wire.messages.requests import Block, Source

_DATA_URI = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),")


def part_to_block(part: Part, where: str) -> Block | None:
    """The block that says what the part says; None for text that is empty, which Messages refuses.

    `where` is the part's path in the request.

    Raises:
        GatewayError: FIELD_UNSUPPORTED for audio and for files that only their server can see,
            FIELD_INVALID for a part that lacks what its type promises, or holds no such thing.
    """
    if part.type in ("text", "refusal"):
        text = part.text if part.type == "text" else part.refusal
        return Block(type="text", text=text) if text and text.strip() else None
    if part.type == "image_url":
        if part.image_url is None:
            raise _invalid(f"{where}.image_url", "this field is required")
        return Block(type="image", source=_image(part.image_url.url, f"{where}.image_url.url"))
    if part.type == "file":
        return _document(part, f"{where}.file")
    raise GatewayError(
        ErrorCode.FIELD_UNSUPPORTED,
        f"{where}: this model's upstream takes no {part.type}.",
        field=where,
    )


def _image(url: str, where: str) -> Source:
    if url.startswith(("https://", "http://")):
        return Source(type="url", url=url)
    media_type, data = _data_uri(url, where)
    media_type = image_media_type(data, media_type)
    if media_type == "image/jpg":
        media_type = "image/jpeg"
    if media_type not in IMAGE_MEDIA_TYPES:
        raise _invalid(where, f"an image must be one of {', '.join(sorted(IMAGE_MEDIA_TYPES))}")
    return Source(type="base64", media_type=media_type, data=data)


def _document(part: Part, where: str) -> Block:
    file = part.file
    if file is None or not file.file_data:
        raise GatewayError(
            ErrorCode.FIELD_UNSUPPORTED,
            f"{where}: a file must come with `file_data`; the upstream cannot see uploaded files.",
            field=where,
        )
    media_type, data = "application/pdf", file.file_data
    if data.startswith("data:"):
        media_type, data = _data_uri(data, f"{where}.file_data")
    if media_type.startswith("text/"):
        try:
            text = b64decode(data).decode()
        except ValueError:
            raise _invalid(f"{where}.file_data", "this is not base64 of UTF-8 text") from None
        source = Source(type="text", media_type="text/plain", data=text)
    else:
        source = Source(type="base64", media_type=media_type, data=data)
    return Block(type="document", source=source, title=file.filename)


def _data_uri(url: str, where: str) -> tuple[str, str]:
    found = _DATA_URI.match(url)
    if found is None or not found[2].endswith(";base64"):
        raise _invalid(where, "send an http(s) address or a base64 data URI")
    return found[1].lower(), url[found.end() :].strip()


def _invalid(field: str, reason: str) -> GatewayError:
    return GatewayError(ErrorCode.FIELD_INVALID, f"{field}: {reason}.", field=field)
