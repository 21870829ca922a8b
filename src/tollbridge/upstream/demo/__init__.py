"""The built-in model `demo`: answers in the process, so that a gateway works with nothing set up.

request, rules  bytes to a checked `Prompt`, or a refusal that names the field
directives      what a client author orders with `[demo: ...]`
speech          the sentences it knows
arguments       an instance of a tool's JSON schema (patterns: of its regular expressions)
mind            a `Prompt` to a `Plan`: pure, the same answer to the same request
script          a plan to the bytes of the Messages protocol, with the pauses between them
upstream        the port, and the only module that waits
"""

from tollbridge.upstream.demo.upstream import DemoUpstream

__all__ = ["DemoUpstream"]
