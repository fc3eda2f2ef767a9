"""What the demo prints: one line for each thing that happens, then the record of the call."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.syntax import Syntax

from bolti import (
    AnyEvent,
    Conversation,
    ConversationEvent,
    OutboundCall,
    ToolCallEvent,
    Turn,
    TurnEvent,
    TurnToolCall,
    WebhookVerificationFailed,
    webhooks,
)
from bolti_server.base.money import Money, format_money
from bolti_server.entrypoints.demo_services import Received

console = Console(highlight=False, soft_wrap=True)
_SIDE = {"agent": ("agent ", "bold cyan"), "user": ("callee", "bold magenta")}
_INDENT = " " * 11

_CODE = """\
from bolti import Bolti

bolti = Bolti()  # `bolti-server dev` writes the profile that it finds
call = bolti.agents.outbound_call(
    "{agent_id}",
    to_number="{to_number}",
    variable_values={{"name": "Asha"}},
)
conversation = bolti.conversations.wait_until_ended(call.conversation_id)
print(conversation.hangup.code, [turn.text for turn in conversation.transcript])
"""


def starting(text: str) -> None:
    console.print(text, style="dim")


def failed(text: str) -> None:
    console.print(text, style="red")


def ready(base_url: str, seconds: float) -> None:
    console.print(f"The API answers at {base_url} after {seconds:.1f} s.\n", style="dim")


def placed(call: OutboundCall, to_number: str) -> None:
    console.print(f"[bold]Calling {to_number}[/bold]   {call.conversation_id}")


@attrs.define
class Timeline:
    """Everything is told in seconds since the call was placed, by the server's own instants."""

    placed_at: datetime | None = None
    answered_at: datetime | None = None

    def show(self, event: AnyEvent) -> None:
        match event:
            case TurnEvent():
                self._turn(event.data.object.turn)
            case ToolCallEvent():
                _tool_call(event.data.object.tool_call)
            case ConversationEvent():
                self._fact(event)
            case _:
                return

    def _fact(self, event: ConversationEvent) -> None:
        call = event.data.object
        self.placed_at = datetime.fromisoformat(call.created_at)
        if call.answered_at is not None:
            self.answered_at = datetime.fromisoformat(call.answered_at)
        match event.type:
            case "conversation.started":
                self._say("the agent is ready; dialing", call.dialed_at)
            case "conversation.ringing":
                self._say("ringing", call.ringing_at)
            case "conversation.answered":
                self._say("answered", call.answered_at)
            case "conversation.ended" if call.hangup is not None:
                self._say(f"ended: {call.hangup.code}", call.ended_at)
            case _:
                return

    def _say(self, text: str, instant: str | None) -> None:
        at = datetime.fromisoformat(instant) if instant else self.placed_at
        assert at is not None, "the first event of a call is its start"
        console.print(f"{self._since_placed(at)}  [green]{text}[/green]")

    def _turn(self, turn: Turn) -> None:
        name, style = _SIDE.get(turn.role, (turn.role, "bold"))
        latency = ""
        if turn.latency is not None and turn.latency.end_to_end_ms is not None:
            latency = f"   [dim]answered in {turn.latency.end_to_end_ms} ms[/dim]"
        cut = " [red](interrupted)[/red]" if turn.is_interrupted else ""
        assert self.answered_at is not None, "nobody speaks before the answer"
        at = self._since_placed(self.answered_at + timedelta(milliseconds=turn.start_ms))
        console.print(f"{at}  [{style}]{name}[/{style}]  {turn.text}{cut}{latency}")

    def _since_placed(self, at: datetime) -> str:
        assert self.placed_at is not None, "the first event of a call is its start"
        return f"[dim]{(at - self.placed_at).total_seconds():8.1f} s[/dim]"


def _tool_call(tool: TurnToolCall) -> None:
    answer = "failed: " if tool.is_error else ""
    console.print(f"{_INDENT}[yellow]tool[/yellow]    {tool.name}({_arguments(tool.arguments)})")
    if tool.result is not None:
        result = f"→ {answer}{tool.result}   [dim]{tool.duration_ms} ms[/dim]"
        console.print(f"{_INDENT}        {result}")


def _arguments(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def record(conversation: Conversation, recording: Path | None) -> None:
    """`recording`: the file on this machine, None where there is none."""
    console.print("\n[bold]The record[/bold]")
    hangup, cost = conversation.hangup, conversation.cost
    why = f"   ({hangup.code}, by {hangup.by})" if hangup else ""
    _row("status", f"{conversation.status}{why}")
    _row("duration", f"{conversation.duration_seconds} s")
    _row("latency", _latency(conversation))
    if cost is not None:
        amount = format_money(Money(cost.amount_micros, cost.currency))
        _row("cost", f"{amount} on the {cost.ledger} ledger")
    _row("simulated", str(conversation.simulated).lower())
    if recording is None:
        _row("recording", f"none: {conversation.recording_detail or 'nobody answered'}")
    else:
        _row("recording", f"{recording}   (stereo: left callee, right agent)")


def _row(name: str, value: str) -> None:
    console.print(f"  [dim]{name:10}[/dim]  {value}")


def _latency(conversation: Conversation) -> str:
    latency = conversation.latency
    if latency is None or latency.end_to_end_p50_ms is None:
        return "no turn was measured"
    first = (
        ""
        if latency.first_audio_ms is None
        else f", first word {latency.first_audio_ms} ms after the answer"
    )
    return f"p50 {latency.end_to_end_p50_ms} ms, p95 {latency.end_to_end_p95_ms} ms over {latency.turns} turns{first}"


def webhook(received: Received | None, secret: str) -> None:
    if received is None:
        failed("No webhook came in time.")
        return
    try:
        event = webhooks.verify(received.body, received.headers, secret)
    except WebhookVerificationFailed as problem:
        failed(f"A webhook came and its signature is wrong: {problem}")
        return
    _row("webhook", f"{event.type} delivered, signature verified")


def code(agent_id: str, to_number: str) -> None:
    console.print("\nThe same from your own code, while `bolti-server dev` runs:\n")
    console.print(
        Syntax(
            _CODE.format(agent_id=agent_id, to_number=to_number),
            "python",
            background_color="default",
        )
    )
