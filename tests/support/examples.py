"""Scripts that do what a page of the documents shows."""

import re
from pathlib import Path

from tests.support.markdown import Block, blocks

# The first line of a block that is a file: a comment with the file's name.
FILE = re.compile(r"(?:#|//) (\S+\.(?:yaml|js))\n")
# A run for pages that need a run id.
RUN = """
run=$(loopbench train --dataset digits --epochs 1 --json)
RUN_ID=$(python -c 'import json, sys; print(json.loads(sys.argv[1])["id"])' "$run")
"""


def script(block: Block) -> str:
    """Return the shell script of a block: run it, pass it to Python, or write the file that its first line names."""
    if block.language == "python":
        return f"python - << 'END'\n{block.text}END\n"
    if file := FILE.match(block.text):
        return f"cat > {file[1]} << 'END'\n{block.text}END\n"
    return block.text if block.language == "sh" else ""


def runnable(document: Path) -> str:
    """Return the script of a page; empty where no block of shell can run here."""
    found = [block for block in blocks(document) if not block.needs]
    if not any(block.language == "sh" for block in found):
        return ""
    text = "".join(script(block) for block in found)
    return (RUN if "RUN_ID" in text else "") + text.replace("RUN_ID", "$RUN_ID")
