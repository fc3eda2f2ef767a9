"""Scenarios: a callee that a user wrote in YAML, and what they expect of the agent.

`parsing.parse` reads one strictly, `callee.talk_of` turns it into somebody who picks up, and `judging.judge` says from the
record of the call whether it did what is expected. Only `callee` loads the simulated network; the rest is pure, so that the
server can check a scenario at its edge and judge a conversation when it is read.
"""
