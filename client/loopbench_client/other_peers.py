"""Answers of something else than a loopbench server, such as a web server or a proxy, by gRPC's texts."""

import re

# The text of gRPC → what has answered.
ANSWERS = {
    re.compile(r"Received http2 header with status: (\d+)"): r"HTTP status \1",
    re.compile(r"Data frame with END_STREAM flag received"): "an answer that is not of gRPC",
    re.compile(r"Failed parsing HTTP/2"): "an answer that is not of HTTP/2",
    re.compile(r"Trying to connect an http1\.x server"): "an answer that is not of HTTP/2",
}
HINT = "check host and port; a proxy answers so while its server is away"


def answer_of_another(text: str) -> str:
    """What has answered instead of a loopbench server; empty where gRPC's ``text`` is about something else."""
    found = ((pattern.search(text), words) for pattern, words in ANSWERS.items())
    return next((match.expand(words) for match, words in found if match), "")
