"""Make an agent that follows rules (no model, no key), give it a number, hear it talk, and delete it."""

from bolti import Bolti

bolti = Bolti()
agent = bolti.agents.create(
    name="Table for two",
    system_prompt="You take table bookings for {{ restaurant }}. Be brief and warm.",
    first_message='Hello {{ name | default: "there" }}, this is {{ restaurant }}. For how many people?',
    stt={"provider": "simulated"},
    llm={
        "provider": "simulated",
        "rules": [
            {
                "hear": ".",
                "say": "Done, see you tonight. Goodbye!",
                "tool": {"name": "cut_call"},
            }
        ],
    },
    tts={"provider": "simulated", "voice": "speech"},
)
try:
    numbers = bolti.numbers.list(simulated=True)
    number = next(number for number in numbers if number.assignment is None)
    bolti.agent_phone_numbers.assign(agent.id, number_id=number.id, direction="outbound")
    print(f"{agent.name}, version {agent.version}, calls from {number.phone_number}")
    call = bolti.agents.outbound_call(
        agent.id, to_number="+12025550100", variable_values={"restaurant": "Chez Bolti"}
    )
    print(bolti.conversations.wait_until_ended(call.conversation_id, timeout_seconds=90).text)
finally:
    bolti.agents.delete(agent.id)  # its number becomes free; the record of the call stays
