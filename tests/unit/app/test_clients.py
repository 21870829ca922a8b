from tests.fakes.exchange_parts import RecordingClient

from tollbridge.app.clients import Client


def test_what_the_tests_ask_with_is_a_client():
    client: Client = RecordingClient()
    client.start(200, [("content-type", "text/plain")])
    client.write(b"a")
    client.finish(b"b")
    assert not client.choked
