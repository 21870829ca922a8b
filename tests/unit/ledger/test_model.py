from tollbridge.ledger.model import Need


def test_a_need_is_priced_with_any_number_of_output_tokens() -> None:
    need = Need(10, 3, 100, 5)
    assert [need.amount(tokens) for tokens in (0, 5, 100)] == [10, 25, 310]
