"""`bolti-server demo`: one whole call in a terminal, as a program of a user's would place it.

Rule: nothing here knows the server from inside. The demo starts `dev` (or finds it running), and from then on it is a client
with the SDK and two small HTTP services of its own: what it shows is what the API said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bolti import Bolti, BoltiError, Conversation
from bolti_server.base.settings import default_data_dir
from bolti_server.bootstrap.local import DataDirectoryUnusable, is_taken
from bolti_server.entrypoints import demo_view as view
from bolti_server.entrypoints.demo_services import DemoServices
from bolti_server.entrypoints.dev_child import DevChild, DevDidNotStart, Running, find_running

AFTER_CALL_SECONDS = 15.0
CALLEE_NAME = "Asha"
TOOL_NAME = "check_delivery"

TOOL_SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string", "description": "The order's number."}},
    "required": ["order"],
    "additionalProperties": False,
}


def run(*, data_dir: Path | None, to_number: str) -> int:
    """Exit code 0 when the call was placed and has ended, however it ended; 1 when something did not work, 2 where the
    data folder can't be used."""
    folder = (data_dir or default_data_dir()).expanduser().resolve()
    began = time.monotonic()
    try:
        with _server(folder) as running, DemoServices() as services:
            view.ready(running.base_url, time.monotonic() - began)
            _call(running, services, folder, to_number)
    except DataDirectoryUnusable as problem:
        view.failed(str(problem))
        return 2
    except DevDidNotStart as problem:
        view.failed(str(problem))
        return 1
    except BoltiError as problem:
        view.failed(f"The server refused: {problem}")
        return 1
    except KeyboardInterrupt:
        view.failed("Stopped.")
        return 130
    return 0


@contextmanager
def _server(folder: Path) -> Iterator[Running]:
    """The `dev` that runs with this folder, or one of our own for as long as the demo lasts."""
    if is_taken(folder):
        view.starting("A server is running already; using it …")
        yield find_running(folder)
        return
    view.starting("Starting PostgreSQL, server and worker …")
    with DevChild(folder) as running:
        yield running


def _call(running: Running, services: DemoServices, folder: Path, to_number: str) -> None:
    bolti = Bolti(
        api_key=running.api_key, base_url=running.base_url, workspace_id=running.workspace_id
    )
    before = bolti.agents.get(running.agent_id).tool_ids
    tool = bolti.tools.create(
        name=TOOL_NAME,
        description="Looks up where a customer's order is and when it arrives.",
        url=services.url + "/orders",
        input_schema=TOOL_SCHEMA,
    )
    endpoint = bolti.webhook_endpoints.create(
        url=services.url + "/bolti", event_types=["conversation.completed", "conversation.ended"]
    )
    try:
        bolti.agents.update(running.agent_id, tool_ids=[*before, tool.id])
        call = bolti.agents.outbound_call(
            running.agent_id, to_number=to_number, variable_values={"name": CALLEE_NAME}
        )
        view.placed(call, to_number)
        with bolti.events.stream(conversation_id=call.conversation_id) as events:
            timeline = view.Timeline()
            for event in events:
                timeline.show(event)
                if event.type == "conversation.ended":
                    break
        conversation = _with_recording(bolti, call.conversation_id)
        recording = None
        if conversation.recording_status == "available":
            recording = folder / "demo" / f"{conversation.id}.ogg"
            recording.parent.mkdir(parents=True, exist_ok=True)
            bolti.conversations.recording(conversation.id, save_to=recording)
        view.record(conversation, recording)
        view.webhook(services.wait_for_webhook(AFTER_CALL_SECONDS), endpoint.secret)
        view.code(running.agent_id, to_number)
    finally:
        bolti.agents.update(running.agent_id, tool_ids=before)
        bolti.tools.delete(tool.id)
        bolti.webhook_endpoints.delete(endpoint.id)
        bolti.close()


def _with_recording(bolti: Bolti, conversation_id: str) -> Conversation:
    """The record once the recording is there or will not come; as it is after AFTER_CALL_SECONDS."""
    deadline = time.monotonic() + AFTER_CALL_SECONDS
    while True:
        conversation = bolti.conversations.get(conversation_id)
        if conversation.recording_status != "pending" or time.monotonic() > deadline:
            return conversation
        time.sleep(0.1)  # noqa: TID251  a poll with a deadline; the event may have come before we listened
