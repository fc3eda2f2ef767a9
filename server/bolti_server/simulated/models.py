"""The models of the simulated network, built from a call's spec. They need no key and no network."""

from __future__ import annotations

from livekit.agents import llm, stt, tts

from bolti_server.lines.line import CallLine
from bolti_server.simulated.line import SimulatedLine
from bolti_server.simulated.llm import SimulatedLLM
from bolti_server.simulated.stt import SimulatedSTT
from bolti_server.simulated.tts import SimulatedTTS
from bolti_server.simulated.voices import start_voices, stop_voices
from bolti_server.worker_api.messages import LlmSpec, SttSpec, TtsSpec

__all__ = ["build_llm", "build_stt", "build_tts", "start_voices", "stop_voices"]


def build_stt(spec: SttSpec, line: CallLine) -> stt.STT[str]:
    """Hears the callee of `line`: beside the audio of a simulated line that speaks, else off the audio, by the modem."""
    is_beside = isinstance(line, SimulatedLine) and line.voice == "speech"
    return SimulatedSTT(spec, reads_modem=not is_beside)


def build_llm(spec: LlmSpec) -> llm.LLM[str]:
    """Follows the agent's rules. Raises ValueError for a rule whose pattern can't be used."""
    return SimulatedLLM(spec)


def build_tts(spec: TtsSpec) -> tts.TTS[str]:
    """Speaks (`speech`, the default), speaks with the modem in it (`modem`), or makes tones (`tone`)."""
    return SimulatedTTS(spec)
