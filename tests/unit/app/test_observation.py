from tollbridge.app.observation import Waits


def test_an_exchange_that_never_waited():
    assert Waits() == (0, 0, None)
