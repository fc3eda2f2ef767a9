"""The helper process that speaks: texts come in on stdin, sound goes out on stdout.

espeak-ng is GPL-3 and keeps its state in the library, so it lives in a process of its own: nothing of Bolti links with it,
a crash takes no call down, and one request at a time is answered. A request is a line of JSON
`{"text", "voice", "words_per_minute"}`; the answer is a line of JSON `{"rate", "bytes"}` or `{"error"}` and then as many
bytes of mono 16-bit PCM. The first line that it writes is `{"ready": true}`. It ends with its stdin.

This module imports nothing of Bolti and is only ever run: `python -m bolti_server.simulated.espeak_process`.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

import espeakng_loader

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: sound comes by the callback, in this thread
_UTF8 = 1
_RATE_PARAMETER = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = ctypes.c_char_p(str(espeakng_loader.get_data_path()).encode())
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        if self.rate <= 0:
            raise RuntimeError("espeak-ng did not start: its voices were not found")
        self._sound = bytearray()
        self._callback = _CALLBACK(self._take)  # kept: the library holds a bare pointer
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]

    def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """Mono 16-bit PCM of `self.rate`. Raises ValueError for a voice that there is not."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)
        self._sound.clear()
        data = text.replace("\0", " ").encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return bytes(self._sound)

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._sound += ctypes.string_at(samples, 2 * count)
        return 0


def _answer(head: dict[str, Any], sound: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + sound)
    sys.stdout.buffer.flush()


def main() -> None:
    espeak = Espeak()
    _answer({"ready": True})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            sound = espeak.speak(request["text"], request["voice"], request["words_per_minute"])
        except ValueError as error:
            _answer({"error": str(error)})
        else:
            _answer({"rate": espeak.rate, "bytes": len(sound)}, sound)


if __name__ == "__main__":
    main()
