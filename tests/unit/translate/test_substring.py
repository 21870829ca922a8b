from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.substring import contains

texts = st.binary(max_size=80).map(lambda data: bytes(byte % 3 + 97 for byte in data))


@given(texts, texts.map(lambda text: text[:5] or b"a"))
def test_it_finds_what_python_finds(body: bytes, word: bytes):
    assert contains(body, word) is (word in body)


def test_a_word_at_either_end_of_a_long_body():
    rest = b"base6" * 50_000
    assert contains(b"base64" + rest, b"base64")
    assert contains(rest + b"4", b"base64")
    assert not contains(rest, b"base64")
