"""``docs/api.md``, from the comments of the contract."""

import re
from collections.abc import Mapping

from loopbench_server.rpc.methods import METHOD_ROLES
from scripts.documents.contract import File, contract
from scripts.documents.errors import entries
from scripts.documents.rendering import render

REASONS = re.compile(r"\b[A-Z]+(?:_[A-Z]+)*\b")
# A paragraph that begins so lists reasons, and whatever is in capitals there is one.
LISTS_REASONS = "Errors"


def _with_links(comment: str, reasons: Mapping[str, object]) -> str:
    def link(found: re.Match[str]) -> str:
        reason = found.group()
        if reason not in reasons:
            raise KeyError(f"{reason} in a comment of the contract is no reason of errors.py")
        return f"[`{reason}`](troubleshooting.md#{reason.lower()})"

    return "\n\n".join(
        REASONS.sub(link, paragraph) if paragraph.startswith(LISTS_REASONS) else paragraph
        for paragraph in comment.split("\n\n")
    )


def _anchors(files: tuple[File, ...]) -> dict[str, str]:
    """Return the anchor of each type on the page."""
    names = (kind.name for file in files for kinds in (file.messages, file.enums) for kind in kinds)
    return {name: name.lower() for name in names}


def api() -> str:
    """The whole page."""
    files, reasons = contract(), entries()
    return render(
        "api.md.jinja",
        files=files,
        anchors=_anchors(files),
        roles={path: role.name.lower() for path, role in METHOD_ROLES.items()},
        linked=lambda comment: _with_links(comment, reasons),
    )
