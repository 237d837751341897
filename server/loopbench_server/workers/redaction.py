"""Error texts without the paths of this machine, as callers may see them."""

import re

# Two names at least: "/job:localhost" and "/cpu:0" are devices of TensorFlow. What follows a letter, a colon or a slash
# is a part of a URL, of a relative path or of a device.
_PATH = re.compile(r"""(?<![\w:/.])(?:~|file://)?/[^\s/'"`:;,()<>\[\]{}|]+/[^\s'"`:;,()<>\[\]{}|]*""")
HIDDEN = "(path)"


def redact_paths(text: str, *folders: str) -> str:
    """``text`` with every absolute path hidden; ``folders`` are found whatever characters their names have."""
    for folder in sorted(filter(None, folders), key=len, reverse=True):
        text = text.replace(folder, HIDDEN)
    return _PATH.sub(HIDDEN, text)
