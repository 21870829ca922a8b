from tests.fakes.exchange_parts import RecordingObserver
from tests.unit.telemetry.test_logs import SETTLEMENT

from tollbridge.app.ports import Alert, Waits
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.telemetry.observers import Observers
from tollbridge.units import EnvId, MicroCredits, Millis, PackId


def test_each_is_told_everything():
    both = RecordingObserver(), RecordingObserver()
    observers = Observers(*both)
    error, bug = GatewayError(ErrorCode.INTERNAL, "x"), ValueError("y")
    alert = Alert(
        env_id=EnvId("e"), pack_id=PackId("p"), level=50, at=Millis(0), granted=MicroCredits(2),
        spent=MicroCredits(1), tries=1,
    )  # fmt: skip
    observers.exchange_ended(SETTLEMENT, 200, None, Waits(1, 2, 3), 1)
    observers.attempt_ended("req_1", "demo", GatewayError(ErrorCode.INTERNAL, "no"))
    observers.request_refused("req_1", "chat", error)
    observers.unknown("kind", "name")
    observers.pack_reached(alert)
    observers.trouble("what", bug)
    for told in both:
        assert told.ended == [(SETTLEMENT, 200, None)]
        assert told.waits == [Waits(1, 2, 3)]
        assert told.tried == [("demo", "INTERNAL")]
        assert told.attempts == [1]
        assert told.refused == [error]
        assert told.unknowns == [("kind", "name")]
        assert told.alerts == [alert]
        assert told.troubles == [("what", bug)]
