"""Follow a call while it lasts: ringing, answered, each turn as it is spoken, the end."""

from bolti import Bolti, ConversationEvent, ToolCallEvent, TurnEvent

bolti = Bolti()
agent = bolti.agents.list(is_active=True).data[0]
values = dict.fromkeys(agent.required_variables, "Asha")
call = bolti.agents.outbound_call(agent.id, to_number="+12025550100", variable_values=values)

# A dropped connection is opened again after the last event: none is lost, none comes twice.
with bolti.events.stream(conversation_id=call.conversation_id) as events:
    for event in events:
        match event:
            case TurnEvent():
                turn = event.data.object.turn
                waited = turn.latency.end_to_end_ms if turn.latency else None
                print(f"{turn.role:6} {turn.text}" + (f"  ({waited} ms)" if waited else ""))
            case ToolCallEvent():
                print(f"tool   {event.data.object.tool_call.name}")
            case ConversationEvent():
                print(f"------ {event.type}")
        if event.type == "conversation.ended":
            break
