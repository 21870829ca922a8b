"""A Chat stream as a Messages stream: chunks in, events out (protocol notes C.9.3 to C.9.8).

At most one content block is open. What arrives asks for a kind of block; `block_steps` says what
has to be closed and opened for it. The end is held until the upstream has ended, because usage
comes last; an upstream that stops without a finish reason ends in an error event.
"""

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.block_steps import STEPS, Open, Step
from tollbridge.translate.bridge import Kept
from tollbridge.translate.chat_answers import read_chunk, reasoning_text
from tollbridge.translate.chat_views import ChunkBody
from tollbridge.translate.counting import usage_from_chat
from tollbridge.translate.event_writer import EventWriter
from tollbridge.translate.failures import failure_from_event
from tollbridge.translate.held import Held
from tollbridge.translate.kept_thinking import KeptThinking
from tollbridge.translate.message_collector import Writer
from tollbridge.translate.open_calls import OpenCall, OpenCalls
from tollbridge.translate.signatures import client_tool_id, sign_thinking
from tollbridge.translate.stop_matcher import StopMatcher
from tollbridge.translate.stops import finish_word, stop_reason
from tollbridge.translate.text_frames import Taken, TextFrames
from tollbridge.translate.think_tags import ThinkTags
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.chunks import ChunkChoice, ChunkDelta
from tollbridge.wire.chat.requests import ReasoningDetail, ToolCall
from tollbridge.wire.chat.responses import ChatUsage, FinishReason
from tollbridge.wire.codec import encode
from tollbridge.wire.sse import DONE, SSEDecoder, parse_block

_TEXT_BLOCK = b'{"type":"text","text":""}'
_TEXT_DELTA = b'"delta":{"type":"text_delta","text":'
_THINKING_BLOCK = b'{"type":"thinking","thinking":"","signature":""}'
_THINKING_DELTA = b'"delta":{"type":"thinking_delta","thinking":'
_INPUT_DELTA = b'"delta":{"type":"input_json_delta","partial_json":'


class StreamToMessages:
    """The state of one stream; a `bridge.StreamBridge`."""

    def __init__(self, answer: AnswerTerms, writer: Writer | None = None) -> None:
        self.usage: TokenUsage | None = None
        self.failure: GatewayError | None = None
        self.finished = False
        self.stopped_early = False
        self.kept: Kept | None = None
        self.notable = b""
        self._answer = answer
        self._sse = SSEDecoder()
        self._frames = TextFrames()
        self._writer = writer or EventWriter()
        self._ended = False
        self._open = Open.NOTHING
        self._held = Held()
        self._calls = OpenCalls(self._held)
        self._ids: set[str] = set()
        self._late_text: list[str] = []
        self._hidden: list[str] = []
        self._signature = ""
        self._thinking = None if answer.thinking else KeptThinking()
        """Thinking that the client does not see."""
        self._tags = ThinkTags() if answer.think_tags else None
        stops = answer.match_stops and answer.stop_sequences
        self._stops = StopMatcher(stops) if stops else None
        self._finish: FinishReason | None = None
        self._matched: str | None = None
        self._refused = False

    @property
    def counted_output(self) -> int:
        """Our own count of the output tokens, thinking that was not shown included."""
        return self._writer.counted

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, give events; `message_start` comes with the first event."""
        at = 0
        self.notable = b""
        try:
            while at < len(data) and not self._ended:
                taken = self._take_texts(data, at)
                if taken is not None:
                    at = taken.end
                    continue
                start, at = at, self._frames.stride(data, at)
                piece = data[start:at]
                self.notable += piece
                blocks = self._sse.blocks(piece)
                self._take(blocks)
                if blocks and not self._writer.begun:
                    self._begin()
        except GatewayError as error:
            return self.fail(error)
        return self._writer.drain()

    def close(self) -> bytes:
        """The upstream has ended; an answer without a finish reason was cut."""
        if self._ended:
            return b""
        try:
            self._take(self._sse.last_block())
            if not self._ended:
                self._end(done=False)
        except GatewayError as error:
            return self.fail(error)
        return self._writer.drain()

    def fail(self, error: GatewayError) -> bytes:
        """What is ready, then the error; nothing follows."""
        if self._ended:
            return b""
        self._ended = True
        self.failure = error
        self._writer.fail(error, self._answer.request_id)
        return self._writer.drain()

    def take_chunk(self, chunk: ChunkBody) -> None:
        """One chunk: usage, then thinking, text, calls and finish, in this order.

        Raises:
            GatewayError: the chunk says that the upstream failed.
        """
        if chunk.usage is not None:
            self._take_usage(chunk.usage)
        if not self._writer.begun:
            self._begin()
        for choice in chunk.choices or ():
            if choice.index == 0:
                if choice.delta is not None:
                    self._take_delta(choice.delta)
                    if self._stops is not None and self._matched is not None:
                        self._finish = "stop"
                        self._end(done=True)
                        self.stopped_early = True  # the upstream need not go on
                        return
                if choice.finish_reason:
                    self._take_finish(choice, choice.finish_reason)
                if choice.usage:
                    self._take_usage(choice.usage)

    def _take(self, blocks: list[bytes]) -> None:
        for block in blocks:
            if self._ended:
                break
            self._teach(block)

    def _teach(self, block: bytes) -> None:
        """Take an event, and let the frames learn from it if it adds to a text and no more."""
        writer = self._writer
        mark = writer.mark()
        self._take_block(block)
        if writer.said and self._stops is None:
            self._frames.show(block, writer.said, writer.since(mark))
        else:
            self._frames.forget()

    def _take_texts(self, data: bytes, at: int) -> Taken | None:
        """Write what becomes of the texts that stand in `data` from `at` on."""
        if not self._frames.ready or self._sse.holds:
            return None
        taken = self._frames.take(data, at)
        if taken is not None:
            self._writer.write_taken(taken)
            if self._calls.live is not None:
                self._calls.note_sent(taken.text)
        return taken

    def _take_block(self, block: bytes) -> None:
        name, data = parse_block(block)
        if data.startswith(DONE):
            self._end(done=True)
        if self._ended or not data:
            return
        chunk = read_chunk(data, self._answer.unknown)
        if name == "error":
            raise failure_from_event(None, "")
        self.take_chunk(chunk)

    def _begin(self) -> None:
        """`message_start`, with the prompt's tokens as far as they are known."""
        usage = self.usage or TokenUsage(input=self._answer.input_estimate)
        self._writer.begin(self._answer.message_id, self._answer.model, usage)

    def _take_usage(self, usage: ChatUsage) -> None:
        if usage.prompt_tokens is not None or usage.completion_tokens is not None:
            self.usage = usage_from_chat(usage)

    def _take_delta(self, delta: ChunkDelta) -> None:
        if delta.reasoning_details:
            self._take_details(delta.reasoning_details, reasoning_text(delta))
        elif thought := reasoning_text(delta):
            self._think(thought)
        if delta.content:
            if self._tags is None:
                self._write(delta.content)
            else:
                self._take_tagged(*self._tags.feed(delta.content))
                self._writer.said = ""  # each has to be seen
        if delta.refusal:
            self._refused = True
            self._write(delta.refusal)
        if self._stops is not None and self._matched is not None:
            return
        if delta.tool_calls:
            for piece in delta.tool_calls:
                self._take_call(piece)
        elif delta.function_call:
            self._take_call(ToolCall(index=0, function=delta.function_call))

    def _take_finish(self, choice: ChunkChoice, word: str) -> None:
        self._finish = finish_word(word)
        for matched in (choice.stop_reason, choice.matched_stop):
            if isinstance(matched, str) and matched in self._answer.stop_sequences:
                self._matched = matched

    def _become(self, wanted: Open) -> None:
        """Close and open what lies between the open block and the wanted one."""
        for step in STEPS[self._open, wanted]:
            if step is Step.OPEN_TEXT:
                self._writer.start_block(_TEXT_BLOCK, _TEXT_DELTA)
            elif step is Step.OPEN_THINKING:
                self._writer.start_block(_THINKING_BLOCK, _THINKING_DELTA)
            elif step is Step.CLOSE_TEXT:
                self._writer.stop_block()
            elif step is Step.CLOSE_THINKING:
                self._close_thinking()
            else:
                self._close_calls()
        self._open = wanted

    def _release_text(self, stops: StopMatcher) -> None:
        """The text that was held back for a stop sequence, before something else follows it."""
        if held := stops.release():
            self._write(held, certain=True)

    def _write(self, text: str, *, certain: bool = False) -> None:
        if self._stops is not None and not certain:
            text = self._stops.feed(text)
            self._matched = self._stops.matched
            if not text:
                return
        if self._open is not Open.TEXT:
            if self._is_within_call():
                self._late_text.append(self._held.add(text))
                return
            self._become(Open.TEXT)
            text = self._take_late_text() + text
        self._writer.write(text)

    def _is_within_call(self) -> bool:
        """Whether fragments of a call are still coming: its block, once closed, takes no more."""
        return self._open is Open.CALLS and not self._calls.all_whole()

    def _take_late_text(self) -> str:
        text = "".join(self._late_text)
        self._late_text.clear()
        return text

    def _take_tagged(self, thought: str, text: str) -> None:
        if self._tags is not None and self._tags.done:
            self._tags = None
        if thought:
            self._think(thought)
        if text:
            self._write(text)

    def _think(self, thought: str) -> None:
        if self._thinking is not None:
            self._thinking.think(self._held.add(thought))
        if self._stops is not None:
            self._release_text(self._stops)
        if self._thinking is not None or self._is_within_call():
            self._writer.count(thought)
            return
        if self._signature:
            self._become(Open.NOTHING)  # a signed thought is finished; this is another one
        if self._open is not Open.THINKING:
            self._become(Open.THINKING)
        if self._answer.hidden:
            self._writer.count(thought)
            self._hidden.append(self._held.add(thought))
        else:
            self._writer.write(thought)

    def _take_details(self, details: list[ReasoningDetail], mirrored: str) -> None:
        """Reasoning with signatures that are genuine, which are handed on as they are."""
        if mirrored and not any(detail.text or detail.summary for detail in details):
            self._think(mirrored)
        for detail in details:
            if text := detail.text or detail.summary:
                self._think(text)
            if self._thinking is not None:
                if detail.signature:
                    self._thinking.seal(self._held.add(detail.signature))
                if detail.data:
                    self._thinking.redact(self._held.add(detail.data))
                continue
            if detail.signature:
                self._become(Open.THINKING)
                self._signature = detail.signature
            if detail.data:
                self._become(Open.NOTHING)
                block = {"type": "redacted_thinking", "data": detail.data}
                self._writer.start_block(encode(block))
                self._writer.stop_block()

    def _close_thinking(self) -> None:
        genuine, self._signature = self._signature, ""
        hidden = "".join(self._hidden)
        self._hidden.clear()
        self._writer.sign(genuine or sign_thinking(self._answer.seal_key, hidden))
        self._writer.stop_block()

    def _take_call(self, piece: ToolCall) -> None:
        if self._stops is not None:
            self._release_text(self._stops)
        if self._open is not Open.CALLS:
            self._become(Open.CALLS)
        calls = self._calls
        call, new = calls.add(piece)
        if new and calls.live is not None and calls.live.is_whole():
            self._stop_call()
        if call is calls.live:
            self._send_arguments(call)
        elif opened := calls.next_live():
            self._start_call(opened)

    def _start_call(self, call: OpenCall) -> None:
        call_id = client_tool_id(call.id) if call.id else ""
        if not call_id or call_id in self._ids:
            call_id = f"toolu_{self._answer.message_id}_{len(self._ids)}"
        self._ids.add(call_id)
        if self._thinking is not None:
            self._thinking.call(call_id)
        name = self._answer.names.restore(call.name)
        self._writer.count(name)
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        self._writer.start_block(encode(block), _INPUT_DELTA)
        self._send_arguments(call)

    def _send_arguments(self, call: OpenCall) -> None:
        arguments = call.arguments
        while call.sent < len(arguments):
            self._writer.write(arguments[call.sent])
            call.sent += 1

    def _stop_call(self) -> None:
        self._writer.stop_block()
        self._calls.live = None

    def _close_calls(self) -> None:
        """Close the live call, then give the ones that waited, each in one piece."""
        calls = self._calls
        while calls.live is not None or calls.waiting:
            if calls.live is not None:
                self._stop_call()
            elif opened := calls.next_live():
                self._start_call(opened)
            elif calls.waiting.pop(0).arguments:
                raise GatewayError(
                    ErrorCode.UPSTREAM_FAILED, "The model's server called a tool without a name."
                )

    def _end(self, *, done: bool) -> None:
        """Close what is open and tell the stop reason, unless the answer was cut.

        Raises:
            GatewayError: UPSTREAM_TRUNCATED.
        """
        if self._tags is not None:
            self._take_tagged(*self._tags.close())
        if self._stops is not None:
            self._release_text(self._stops)
        produced = self._writer.counted > 0 and not self._calls.is_cut()
        if self._finish is None and not (done and produced):
            raise GatewayError(
                ErrorCode.UPSTREAM_TRUNCATED, "The model's server broke off the answer."
            )
        self._become(Open.NOTHING)
        if self._late_text:
            self._become(Open.TEXT)
            self._writer.write(self._take_late_text())
            self._become(Open.NOTHING)
        if not self._writer.begun:
            self._begin()
        reason = stop_reason(
            self._finish or "stop",
            called=bool(self._ids),
            refused=self._refused,
            matched=self._matched,
        )
        usage = self.usage or TokenUsage(
            input=self._answer.input_estimate, output=self.counted_output
        )
        self._writer.end(reason, self._matched if reason == "stop_sequence" else None, usage)
        self._ended = True
        self.finished = True
        if self._thinking is not None:
            self.kept = self._thinking.kept()
