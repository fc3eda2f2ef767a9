"""The answers that carry shortcuts: the generated models, and what one wants to do with them at once."""

from __future__ import annotations

from collections.abc import Sequence

from bolti import _models as models


class ConversationSummary(models.ConversationSummary):
    """The record of one call without its transcript and usage, as in lists and events."""

    @property
    def is_over(self) -> bool:
        """Whether the call has ended, however."""
        return self.ended_at is not None


class Conversation(models.Conversation):
    """The record of one call, whatever its direction. Durations in seconds or ms, money in millionths of its currency."""

    @property
    def is_over(self) -> bool:
        """Whether the call has ended, however; `hangup` says how."""
        return self.ended_at is not None

    @property
    def text(self) -> str:
        """The transcript as lines of `role: text`."""
        return as_text(self.transcript)

    def said_by(self, role: models.TurnRole) -> tuple[str, ...]:
        """The texts of one side, in order."""
        return tuple(turn.text for turn in self.transcript if turn.role == role)


class Transcript(models.Transcript):
    """The turns of a conversation so far."""

    @property
    def text(self) -> str:
        """Lines of `role: text`."""
        return as_text(self.turns)

    def said_by(self, role: models.TurnRole) -> tuple[str, ...]:
        """The texts of one side, in order."""
        return tuple(turn.text for turn in self.turns if turn.role == role)


class ConversationPage(models.ConversationPage):
    """A page of conversations, newest first."""

    data: list[ConversationSummary]  # pyright: ignore[reportIncompatibleVariableOverride] - frozen: nothing is put in


def as_text(turns: Sequence[models.Turn]) -> str:
    """One line per turn: who, and what was heard."""
    return "\n".join(f"{turn.role}: {turn.text}" for turn in turns)
