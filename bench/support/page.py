"""The forms of a page, as a browser without scripts sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """Where a form goes, what it sends as it stands, and its buttons that can be pressed."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[dict[str, str]] = field(default_factory=list)  # their attributes


class Page(HTMLParser):
    """A page by its forms that are sent by POST."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self.feed(html)

    def forms_to(self, ending: str) -> list[Form]:
        """The forms whose address ends so."""
        return [form for form in self.forms if form.action.endswith(ending)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a form, or what is in it."""
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(has.get("action", ""))
            if has.get("method") == "post":
                self.forms.append(self._open)
        elif self._open and tag == "button" and "disabled" not in has:
            self._open.buttons.append(has)
        elif self._open and tag == "input" and (has.get("type") != "checkbox" or "checked" in has):
            self._open.fields[has["name"]] = has.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        """Close a form."""
        if tag == "form":
            self._open = None
