from tollbridge.app.answer_head import answer_head


def test_a_plain_answer_names_its_upstream():
    head = answer_head(upstream="lab", attempts=1, dropped=(), paid=10, wanted=10)
    assert head == [("x-tollbridge-upstream", "lab")]


def test_what_was_not_as_asked_is_told():
    head = answer_head(upstream="", attempts=2, dropped=("seed", "n"), paid=9, wanted=10)
    assert dict(head) == {
        "x-tollbridge-attempts": "2",
        "x-tollbridge-dropped": "seed, n",
        "x-tollbridge-max-tokens": "9",
    }
