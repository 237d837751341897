"""Hides paths of this machine in error messages for callers."""

import re

# A path has at least two names: "/job:localhost" and "/cpu:0" are devices of TensorFlow. A match after a letter, a
# colon or a slash would be part of a URL, a relative path or a device.
_PATH = re.compile(r"""(?<![\w:/.])(?:~|file://)?/[^\s/'"`:;,()<>\[\]{}|]+/[^\s'"`:;,()<>\[\]{}|]*""")
HIDDEN = "(path)"


def redact_paths(text: str, *folders: str) -> str:
    """Return ``text`` with every absolute path hidden; ``folders`` are found whatever characters their names have."""
    for folder in sorted(filter(None, folders), key=len, reverse=True):
        text = text.replace(folder, HIDDEN)
    return _PATH.sub(HIDDEN, text)
