"""Reading one value of a scenario: it gives the value, or says what is wrong with it and goes on.

Rule: nothing here raises. A `Reader` collects every complaint with its place; a value that can't be used is None.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

from bolti_server.simulated.scenarios.nodes import Complaint, Items, Members, Node, Place, Scalar

MOST_COMPLAINTS = 100
_LONGEST_SHOWN = 40


class Reader:
    def __init__(self) -> None:
        self._complaints: list[Complaint] = []

    @property
    def complaints(self) -> list[Complaint]:
        """What is wrong so far, in the order of the text, at most MOST_COMPLAINTS."""
        ordered = sorted(self._complaints, key=lambda each: (each.line, each.column))
        return ordered[:MOST_COMPLAINTS]

    def complain(self, at: Node | Place, detail: str) -> None:
        place = at if isinstance(at, Place) else at.place
        self._complaints.append(Complaint(place.line, place.column, detail))

    def members(
        self, node: Node, what: str, names: Collection[str], *, required: Collection[str] = ()
    ) -> dict[str, Node]:
        """The members by name: known ones, each once."""
        if not isinstance(node, Members):
            self.complain(node, f"{what} has members: {', '.join(names)}. This is {kind_of(node)}.")
            return {}
        found: dict[str, Node] = {}
        for key, value in node.members:
            if key.text not in names:
                self.complain(key, unknown(key.text, names, f"{what} has no"))
            elif key.text in found:
                self.complain(key, f"{key.text} is here twice.")
            else:
                found[key.text] = value
        for name in required:
            if name not in found:
                self.complain(node, f"{what} needs {name}.")
        return found

    def items(self, node: Node, what: str, most: int) -> tuple[Node, ...]:
        if not isinstance(node, Items):
            self.complain(
                node, f"{what} is a list (lines that begin with -). This is {kind_of(node)}."
            )
            return ()
        if len(node.items) > most:
            self.complain(node.items[most], f"{what} may have at most {most} entries.")
        return node.items[:most]

    def text(self, node: Node, what: str, longest: int) -> str | None:
        """What is written there, whatever YAML takes it for: `say: yes` says yes."""
        if not isinstance(node, Scalar):
            self.complain(node, f"{what} is a text. This is {kind_of(node)}.")
            return None
        text = node.text.strip()
        if not text or node.value is None:
            self.complain(node, f"{what} is empty.")
            return None
        if "\0" in text:
            self.complain(node, f"{what} holds U+0000.")
            return None
        if len(text) > longest:
            self.complain(
                node, f"{what} may have at most {longest} characters; it has {len(text)}."
            )
            return None
        return text

    def whole(self, node: Node, what: str, least: int, most: int, unit: str) -> int | None:
        expected = f"{what} is a whole number of {unit}, {least} to {most}"
        if not isinstance(node, Scalar):
            self.complain(node, f"{expected}. This is {kind_of(node)}.")
            return None
        value = node.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 3.0 is an integer in JSON Schema too
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.complain(node, f"{expected}, not {shown(node.text)}.")
            return None
        return value

    def number(self, node: Node, what: str, least: float, most: float) -> float | None:
        value = node.value if isinstance(node, Scalar) else None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not least <= value <= most
        ):
            self.complain(node, f"{what} is a number, {least:g} to {most:g}, not {_told(node)}.")
            return None
        return float(value)

    def truth(self, node: Node, what: str) -> bool | None:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, bool):
            self.complain(node, f"{what} is true or false, not {_told(node)}.")
            return None
        return value

    def one_of(self, node: Node, what: str, names: Collection[str]) -> str | None:
        text = self.text(node, what, 10_000)
        if text is None or text in names:
            return text
        self.complain(node, unknown(text, names, f"There is no {what}"))
        return None

    def unique(self, node: Node) -> None:
        """Complains about names that come twice, anywhere below: of free members (arguments, an agent's settings)."""
        match node:
            case Items():
                for item in node.items:
                    self.unique(item)
            case Members():
                seen: set[str] = set()
                for key, value in node.members:
                    if key.text in seen:
                        self.complain(key, f"{shown(key.text)} is here twice.")
                    seen.add(key.text)
                    self.unique(value)
            case Scalar():
                pass


def unknown(name: str, names: Collection[str], claim: str) -> str:
    """`claim` and the name, with the nearest that there is, else with all of them."""
    word = name[:100].lower().replace("-", "_")
    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
    near += [each for each in names if len(word) > 2 and word in each]
    if near:
        return f"{claim} {shown(name)}. Did you mean {near[0]}?"
    return f"{claim} {shown(name)}. There is: {', '.join(names)}."


def shown(text: str) -> str:
    """A text in a message: on one line, not longer than people read."""
    line = " ".join(text.split())
    if not line:
        return "nothing"
    return repr(line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…")


def kind_of(node: Node) -> str:
    match node:
        case Scalar():
            return "nothing" if node.value is None else f"the value {shown(node.text)}"
        case Items():
            return "a list"
        case Members():
            return "a mapping (name: value)"


def _told(node: Node) -> str:
    return shown(node.text) if isinstance(node, Scalar) else kind_of(node)
