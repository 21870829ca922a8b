import pytest

from tollbridge.upstream.demo import speech

POEM = "What is Li Bai's most famous poem?"


def say(said: str, earlier: speech.Turns = (), system: str = "") -> str:
    return speech.answer(said, earlier, system, 0)


@pytest.mark.parametrize(
    ("said", "exact"),
    [
        ("What is 6 * 7?", "6 * 7 = 42"),
        ("2+3*4-1", "2+3*4-1 = 13"),
        ("calculate 1/3", "1/3 ≈ 0.333333333333"),
        ("how much is 10 ÷ 4?", "10 ÷ 4 = 2.5"),
        ("3 x 3", "3 x 3 = 9"),
        ("5/0", "5/0 divides by zero, which has no answer."),
        ("Count to 5", "1, 2, 3, 4, 5"),
        ("Please repeat after me: Ünï  静", "Ünï  静"),
        ("echo: a\nb", "a\nb"),
        ('Reply with exactly: "pong"', "pong"),
    ],
)
def test_exact_answers(said: str, exact: str) -> None:
    assert speech.answer(said, (), "You are a pirate.", 0) == exact


def test_a_count_ends() -> None:
    assert say("count to 999999").endswith(", 1000")


@pytest.mark.parametrize("said", ["Hello", "hi there", "Introduce yourself", "Who are you?"])
def test_it_says_what_it_is(said: str) -> None:
    assert "built-in demo model, not a language model" in say(said)


def test_chinese_is_answered_in_chinese() -> None:
    assert say("你好").startswith("你好")
    assert "演示模型" in say("请介绍一下你自己")


def test_the_two_turns_about_the_poem() -> None:
    first = say(POEM, (), "You are a poetry expert.")
    assert "静夜思" in first
    assert '"You are a poetry expert."' in first
    second = say("What is the background of that poem?", [("user", POEM), ("assistant", first)])
    assert POEM in second
    assert "Quiet Night Thought" in second
    assert "Yangzhou" in second


def test_a_follow_up_quotes_what_came_before() -> None:
    text = say("Tell me more about that", [("user", "Ships?"), ("assistant", "They float.")])
    assert '"Ships?"' in text
    assert '"They float."' in text


def test_what_was_said_before() -> None:
    earlier = [("user", "One"), ("assistant", "ok"), ("user", "Two"), ("assistant", "ok")]
    assert say("What did I say before?", earlier) == 'You said: "Two"'
    assert say("What was my first message?", earlier) == 'You said: "One"'
    assert "first thing" in say("What did I say before?")


def test_what_it_does_not_know_it_says() -> None:
    assert "no real answer" in say("What is the capital of France?")
    assert "no text" in say("")


def test_attachments_are_noticed() -> None:
    assert speech.answer("Hello", (), "", 2).startswith("You sent 2 attachments")


def test_results() -> None:
    assert speech.result("f", "18 C", is_error=False) == "The tool f returned: 18 C"
    assert speech.result("f", "", is_error=False) == "The tool f returned nothing."
    assert len(speech.result("f", "x" * 99_999, is_error=False)) < 21_000
    assert speech.result("f", "no net", is_error=True) == "The tool f failed: no net"


def test_filler_has_the_number_of_words() -> None:
    assert len(speech.filler(200).split()) == 200


def test_quotes_are_short_and_on_one_line() -> None:
    assert speech.quote("a\n b") == "a b"
    assert len(speech.quote("word " * 500)) <= 161
