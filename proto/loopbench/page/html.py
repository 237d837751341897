"""HTML in which every text is escaped: only what :func:`element` made is taken as markup."""

from collections.abc import Iterable
from html import escape

# Elements that have no content and no end tag.
VOID = frozenset({"br", "link", "meta"})


class Html(str):
    """Markup."""

    __slots__ = ()


# None is no content, so that a missing part needs no branch.
Content = str | None


def element(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Html:
    """``<name>`` around ``content``.

    Attributes are written as Python names them: ``class_`` is ``class``, ``aria_label`` is ``aria-label``. One that is
    None or False is left out, one that is True has no value.
    """
    start = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(start) if name in VOID else Html(f"{start}{joined(content)}</{name}>")


def joined(content: Iterable[Content]) -> Html:
    """Several contents, one after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in content if part is not None))


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    # viewBox is the only name with a capital: it has no underscore either.
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(_text(value))}"'


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
