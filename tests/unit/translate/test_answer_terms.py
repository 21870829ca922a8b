from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.tool_names import ToolNames


def test_a_plain_question_matches_no_stops_and_hides_nothing():
    terms = AnswerTerms(
        model="m",
        request_id="req_1",
        message_id="abc",
        input_estimate=5,
        names=ToolNames(64),
        thinking=False,
    )
    assert {terms.hidden, terms.match_stops, terms.think_tags} == {False}
    assert terms.stop_sequences == ()
