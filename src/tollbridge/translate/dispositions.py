"""What becomes of every member of both vocabularies, when it is translated into the other one.

One list, table-shaped: name, disposition, what it becomes. Rows of a client's side (fields, blocks,
tools) are read towards the other protocol's request; rows of an upstream's side (answers, events,
stop reasons, usage, errors) towards the other protocol's answer. The code reads the list where it
can, a test compares it with the official SDKs' types, and docs/translation.md is written from it.
Between equal protocols nothing is translated: all members pass, known or not.
"""

from typing import Literal, NamedTuple, cast, get_args

Disposition = Literal["exact", "approximated", "dropped", "reported", "refused"]
"""`dropped`: a hint, which goes silently. `reported`: goes too, and the client is told its name.
`refused`: an error, because an answer without it would be a lie."""


class Row(NamedTuple):
    """One member's fate."""

    disposition: Disposition
    becomes: str


Table = dict[str, Row]


def _table(text: str) -> Table:
    """Rows of `name | disposition | becomes`; several names may share a row."""
    table: Table = {}
    for line in text.strip().splitlines():
        names, word, becomes = (cell.strip() for cell in line.split("|"))
        assert word in get_args(Disposition), f"{word!r} is no disposition"
        row = Row(cast("Disposition", word), becomes)
        table.update(dict.fromkeys(names.split(), row))
    return table


MESSAGES: dict[str, Table] = {
    "request field": _table("""
model | exact | model, as the target has it
max_tokens | exact | max_completion_tokens or max_tokens, by dialect; 0 is answered here
messages | approximated | messages; see roles and content blocks
system | approximated | one leading system message; the client program's attribution is left out
stream | exact | stream, with usage
stop_sequences | exact | stop where the server names the match; else matched in the gateway
temperature top_p | exact | the same
top_k | approximated | top_k; reported where the dialect has none
metadata | approximated | safety_identifier and prompt_cache_key, hashed, where the dialect has them
tools | approximated | tools; see tool kinds
tool_choice | exact | tool_choice and parallel_tool_calls; see tool choices
thinking | approximated | the dialect's switch for thinking
output_config | approximated | reasoning effort in the dialect's spelling; response_format
output_format | approximated | response_format
compaction | refused | no other server makes a compaction block
thread | refused | a thread to continue is kept by Anthropic only
container mcp_servers fallbacks billing_policy diagnostics | reported | -
service_tier speed inference_geo cache_control context_management | dropped | -
fallback_credit_token betas user_profile_id workspace_id | dropped | -
"""),
    "role": _table("""
user assistant | exact | user and assistant; neighbours of one role merge
system | approximated | kept, merged or marked text, as the model's system_messages says
"""),
    "content block": _table("""
text | exact | content
image | approximated | image_url with data or address; a file's id is refused
document | approximated | text under its title; a PDF as file where the dialect takes it
search_result | approximated | text with title and source
thinking | approximated | reasoning_content, reasoning or reasoning_details, as the dialect wants
redacted_thinking | dropped | reasoning_details where the dialect has them
tool_use | exact | tool_calls
tool_result | approximated | a tool message; its images follow in a user message
tool_reference | approximated | text
server_tool_use mcp_tool_use | approximated | text
web_search_tool_result web_fetch_tool_result code_execution_tool_result | approximated | text
bash_code_execution_tool_result text_editor_code_execution_tool_result | approximated | text
tool_search_tool_result mcp_tool_result advisor_tool_result | approximated | text
compaction | approximated | a user message with the summary
tool_addition tool_removal browser_state | reported | -
container_upload fallback mcp_tool_listing | dropped | -
"""),
    "block member": _table("""
type text id name input tool_use_id | exact | the same
source content thinking signature data | approximated | see content blocks
title context url tool_name | approximated | part of the text
is_error | approximated | a mark before the result's text
cache_control citations transformations caller toolset_name server_name | dropped | -
encrypted_content tool_changes | dropped | -
"""),
    "tool kind": _table("""
custom | exact | a function; long names are shortened and restored
bash text_editor memory | approximated | a function with the schema that the client expects
computer computer_toolset browser_toolset | reported | refused if tool_choice forces it
web_search web_fetch code_execution advisor mcp_toolset | reported | refused if forced
tool_search_tool_bm25 tool_search_tool_regex | reported | refused if forced
"""),
    "tool choice": _table("""
auto none | exact | the same
any | exact | required
tool | exact | a named function
"""),
    "thinking type": _table("""
enabled | approximated | on, with the budget or the effort it amounts to
adaptive | approximated | by output_config.effort; without one the model's default
disabled between_tools | approximated | off
"""),
    "answer field": _table("""
id | approximated | an id of the gateway's
type role | exact | object and role
model | exact | model, as the client asked for it
content | approximated | the message; see answer blocks
stop_reason | exact | finish_reason; see stop reasons
stop_details | approximated | refusal, with the explanation
usage | exact | usage; see usage fields
stop_sequence container diagnostics context_management input_transformations | dropped | -
"""),
    "answer block": _table("""
text | exact | content
thinking | exact | reasoning_content, and reasoning_details with the signature
redacted_thinking | exact | reasoning_details
tool_use | exact | tool_calls, function_call or a custom call
server_tool_use mcp_tool_use mcp_tool_listing | dropped | run by the upstream itself
web_search_tool_result web_fetch_tool_result code_execution_tool_result | dropped | -
bash_code_execution_tool_result text_editor_code_execution_tool_result | dropped | -
tool_search_tool_result mcp_tool_result advisor_tool_result | dropped | -
container_upload compaction fallback | dropped | -
"""),
    "event": _table("""
message_start content_block_start content_block_delta content_block_stop | exact | chunks
message_delta | exact | the chunk with the finish_reason
message_stop | exact | usage and [DONE]
error | exact | a chunk with the error, and nothing after it
ping | dropped | the gateway sends comments of its own
"""),
    "delta": _table("""
text_delta | exact | content
input_json_delta | exact | arguments, untouched
thinking_delta | exact | reasoning_content
signature_delta | exact | reasoning_details
citations_delta compaction_delta | dropped | -
"""),
    "stop reason": _table("""
end_turn | exact | stop
max_tokens | exact | length
tool_use | exact | tool_calls, or function_call for clients that offered functions
refusal | exact | content_filter, with the explanation as refusal
stop_sequence compaction | approximated | stop
model_context_window_exceeded | approximated | length
pause_turn | approximated | length, unless the turn is continued here
"""),
    "usage field": _table("""
input_tokens | exact | part of prompt_tokens
cache_read_input_tokens | exact | part of prompt_tokens, and cached_tokens
cache_creation_input_tokens | exact | part of prompt_tokens, and cache_write_tokens
output_tokens | exact | completion_tokens
output_tokens_details | exact | reasoning_tokens
cache_creation | dropped | its sum is cache_creation_input_tokens
server_tool_use service_tier speed inference_geo iterations fallback_credit | dropped | -
"""),
    "error type": _table("""
invalid_request_error | exact | 400, with the upstream's words
rate_limit_error | exact | 429 rate_limit_exceeded
overloaded_error | exact | 503 overloaded
timeout_error | exact | 504 timeout
not_found_error | exact | 404 model_not_found
request_too_large | exact | 413 request_too_large
api_error | exact | 502 upstream_error
authentication_error permission_error | approximated | 502: the credential is the operator's
billing_error | approximated | 429 insufficient_quota: the account is the operator's
conflict_error | approximated | by its status
memory_precondition_failed_error memory_path_conflict_error | approximated | by its status
"""),
}
"""Messages towards Chat."""

CHAT: dict[str, Table] = {
    "request field": _table("""
model | exact | model, as the target has it
messages | approximated | system and messages; see roles and content parts
max_completion_tokens max_tokens | exact | max_tokens; without one what the model can
stream stream_options | exact | stream; usage is always reported
temperature | approximated | cut to 0..1; reported where the model takes none
top_p top_k | approximated | the same; reported where the model takes none
stop | exact | stop_sequences, without those of white space only
n | refused | one answer; 1 is accepted
tools functions | exact | tools
tool_choice function_call | exact | tool_choice
parallel_tool_calls | exact | tool_choice.disable_parallel_tool_use
response_format | approximated | output_config.format, or an instruction; then reported
reasoning_effort thinking enable_thinking | approximated | thinking and output_config.effort
user safety_identifier | exact | metadata.user_id
service_tier | approximated | auto or standard_only
web_search_options | approximated | the web search tool; reported for other servers
modalities audio | refused | no audio; text is accepted
logprobs top_logprobs | refused | there are none
frequency_penalty presence_penalty repetition_penalty min_p seed logit_bias | reported | -
verbosity prediction moderation metadata store | reported | -
reasoning thinking_budget chat_template_kwargs | reported | -
prompt_cache_key prompt_cache_options prompt_cache_retention | dropped | -
continue_final_message add_generation_prompt | dropped | a last assistant message says it
"""),
    "role": _table("""
system developer | approximated | system; later ones as the model's system_messages says
user assistant | exact | user and assistant; neighbours of one role merge
tool function | exact | tool_result blocks of one user message
"""),
    "message field": _table("""
role content | exact | role and content
tool_calls function_call | exact | tool_use blocks
tool_call_id | exact | tool_use_id, in letters that Messages takes
refusal | approximated | text
reasoning_details | exact | thinking with its genuine signature, redacted_thinking
reasoning_content reasoning | approximated | thinking, for servers that do not check signatures
prefix partial name | dropped | -
audio | reported | -
"""),
    "content part": _table("""
text | exact | text
image_url | exact | image, by address or as base64 of the type it really is
file | approximated | document; a file's id is refused
refusal | approximated | text
input_audio | refused | no audio
"""),
    "part member": _table("""
type text refusal | exact | the same
image_url file | approximated | source; see content parts
prompt_cache_breakpoint | approximated | cache_control
input_audio | refused | no audio
"""),
    "tool kind": _table("""
function | exact | a custom tool; a schema that is a choice at its top becomes one object
custom | approximated | a tool with one text input
"""),
    "tool choice": _table("""
auto none | exact | the same
required | exact | any
function custom | exact | tool
allowed_tools | approximated | only these tools are sent
"""),
    "answer field": _table("""
id created | approximated | an id of the gateway's; Messages has no time
object | exact | type
model | exact | model, as the client asked for it
choices | approximated | the first choice
usage | exact | usage; see usage fields
service_tier system_fingerprint moderation obfuscation metadata | dropped | -
"""),
    "choice field": _table("""
index | approximated | only the first choice is asked for
delta message | exact | content blocks
finish_reason | exact | stop_reason; see finish reasons
logprobs | dropped | not asked for
stop_reason matched_stop | exact | stop_sequence, where a server has them
usage | exact | usage, where a server puts it there
"""),
    "delta": _table("""
role | exact | role
content | exact | a text block
refusal | approximated | a text block, and the stop reason refusal
tool_calls function_call | exact | tool_use blocks, one after another
reasoning_content reasoning | exact | a thinking block with a signature of the gateway's
reasoning_details | exact | thinking with its genuine signature, redacted_thinking
audio annotations | dropped | -
"""),
    "finish reason": _table("""
stop | exact | end_turn; stop_sequence where the match is known; tool_use after a call
length | exact | max_tokens
tool_calls | exact | tool_use
function_call | approximated | tool_use
content_filter | exact | refusal
"""),
    "usage field": _table("""
prompt_tokens | exact | input_tokens, less what was read from and written to the cache
completion_tokens | exact | output_tokens
total_tokens | dropped | the sum of others
prompt_tokens_details.cached_tokens | exact | cache_read_input_tokens
prompt_tokens_details.cache_write_tokens | exact | cache_creation_input_tokens
completion_tokens_details.reasoning_tokens | exact | output_tokens_details.thinking_tokens
prompt_tokens_details.audio_tokens prompt_tokens_details.image_tokens | dropped | in prompt_tokens
prompt_tokens_details.text_tokens | dropped | in prompt_tokens
completion_tokens_details.audio_tokens | dropped | in completion_tokens
completion_tokens_details.text_tokens | dropped | in completion_tokens
completion_tokens_details.accepted_prediction_tokens | dropped | in completion_tokens
completion_tokens_details.rejected_prediction_tokens | dropped | in completion_tokens
prompt_cache_hit_tokens cached_tokens cache_read_input_tokens | exact | cache_read_input_tokens
cache_creation_input_tokens | exact | the same
"""),
    "error type": _table("""
invalid_request_error BadRequestError | exact | 400 invalid_request_error
invalid_function_parameters | exact | 400 invalid_request_error, after a second try without patterns
context_length_exceeded exceed_context_size_error | exact | 400, in words that clients recognise
rate_limit_exceeded | exact | 429 rate_limit_error
server_error | exact | 502 api_error
engine_overloaded_error | exact | 529 overloaded_error
model_not_found | exact | 404 not_found_error
invalid_api_key | approximated | 502: the credential is the operator's
insufficient_quota exceeded_current_quota_error | approximated | 429: the account is the operator's
"""),
}
"""Chat towards Messages."""
