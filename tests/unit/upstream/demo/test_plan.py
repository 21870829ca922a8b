from tollbridge.upstream.demo.plan import Manner, Plan, Text


def test_a_plan_is_delivered_plainly_unless_it_says_otherwise() -> None:
    plan = Plan("demo", (Text(("Hi",)),), "end_turn", None, 4, 1, 0, Manner())
    assert plan.manner == (None, 0, "no")
