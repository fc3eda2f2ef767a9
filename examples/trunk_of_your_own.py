"""A SIP trunk of your own, a number on it, and the agent that answers it. Calls need a server with LiveKit (LIVEKIT_URL)."""

from bolti import Bolti, MediaServerMissing

bolti = Bolti()
agent = bolti.agents.create(name="Reception", first_message="Hello, this is the reception.")

# Where you dial and as whom; from which addresses you may be called. The password is kept encrypted and never shown.
trunk = bolti.trunks.create(
    name="Our provider",
    outbound={"host": "sip.example.com", "username": "reception", "password": "s3cret"},
    inbound={"allowed_addresses": ["203.0.113.0/29"]},
)
number = bolti.trunks.add_number(trunk.id, phone_number="+918041234567")
bolti.agent_phone_numbers.assign(agent.id, number_id=number.id, direction="both")

try:
    call = bolti.agents.outbound_call(agent.id, to_number="+919876543210")
    print(call.status, "simulated" if call.simulated else "real")
    bolti.conversations.end(call.conversation_id)
except MediaServerMissing as error:
    print(error.detail)

# "ready" as soon as the media server knows the trunk; "failed" says why in inbound_detail.
trunk = bolti.trunks.get(trunk.id)
print(trunk.inbound_status, trunk.inbound_detail or "")

bolti.numbers.release(number.id)
bolti.trunks.delete(trunk.id)
bolti.agents.delete(agent.id)
