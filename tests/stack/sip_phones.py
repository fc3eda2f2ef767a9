"""Telephones of the real SIP network of a namespace: baresip for those that talk, sipp for those that refuse.

Both are Debian's (`baresip-core`, `sip-tester`). A phone's words are in a WAV file made beforehand, with the modem in them,
and what it hears is written to another, so that a test can read the exact words that crossed a real SIP leg.
"""

from __future__ import annotations

import json
import socket
import subprocess
import wave
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from tests.system.conftest import wait_until

from bolti_server.simulated import voices
from bolti_server.simulated.modem import Decoder, encode
from bolti_server.simulated.sound import RATE

MODULES = "/usr/lib/baresip/modules"
START_SECONDS = 5.0
_FRAME_BYTES = 2 * RATE // 50


async def modem_words(*said: tuple[float, str]) -> bytes:
    """PCM of RATE: each text after so many seconds of silence, spoken with the modem in it."""
    await voices.start_voices()
    sound = b""
    for pause, text in said:
        speech = await voices.speak(text, "callee", 1.0)
        sound += bytes(2 * int(RATE * pause)) + encode(text, speech)
    return sound + bytes(2 * RATE * 30)


class BaresipPhone:
    """Answers by itself as soon as one of its numbers is called (`is_answering`), several calls at once, or is told to dial.
    Use as a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        address: str,
        number: str,
        says: bytes,
        is_answering: bool = True,
        other_numbers: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self._address = address
        self._numbers = (number, *other_numbers)
        self._says = says
        self._is_answering = is_answering
        self._control_port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> BaresipPhone:
        self._folder.mkdir(parents=True)
        _write_wave(self._folder / "says.wav", self._says)
        (self._folder / "config").write_text(self._config())
        mode = "auto" if self._is_answering else "manual"
        accounts = [
            f"<sip:{number}@{self._address}>;regint=0;answermode={mode};audio_codecs=PCMU/8000/1\n"
            for number in self._numbers
        ]
        (self._folder / "accounts").write_text("".join(accounts))
        for name in ("contacts", "uuid"):
            (self._folder / name).touch()
        log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["baresip", "-f", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self._folder,
        )
        wait_until(
            lambda: b"baresip is ready" in (self._folder / "log").read_bytes(),
            START_SECONDS,
            "baresip is ready",
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def dial(self, uri: str) -> None:
        self.command("dial", uri)

    def hang_up(self) -> None:
        self.command("hangup")

    def press(self, key: str) -> None:
        self.command("sndcode", key)

    def command(self, name: str, parameters: str = "") -> None:
        """Tells it to do something (baresip's menu commands, by its ctrl_tcp module)."""
        message = json.dumps({"command": name, "params": parameters, "token": "t"})
        with socket.create_connection(("127.0.0.1", self._control_port), timeout=3) as control:
            control.sendall(f"{len(message)}:{message},".encode())
            control.settimeout(3)
            control.recv(4096)

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def heard(self) -> list[str]:
        """The agent's sentences, read off what came out of the phone."""
        decoder, texts = Decoder(), list[str]()
        for file in sorted(self._folder.glob("dump-*-dec.wav")):
            sound = _read_wave(file)
            for at in range(0, len(sound), _FRAME_BYTES):
                texts += decoder.push(sound[at : at + _FRAME_BYTES].ljust(_FRAME_BYTES, b"\0"))
        return texts

    def _config(self) -> str:
        modules = ("g711", "aufile", "sndfile")
        apps = ("account", "ctrl_tcp", "menu")
        return "\n".join(
            [
                f"sip_listen {self._address}",
                f"audio_source aufile,{self._folder / 'says.wav'}",
                f"audio_player aufile,{self._folder / 'played.wav'}",
                "audio_alert aufile,/dev/null",
                "audio_txmode thread",
                "call_hold_other_calls no",
                f"snd_path {self._folder}",
                f"ctrl_tcp_listen 127.0.0.1:{self._control_port}",
                f"module_path {MODULES}",
                *(f"module {name}.so" for name in modules),
                *(f"module_app {name}.so" for name in apps),
                "",
            ]
        )


class _Sipp(ABC):
    """One call, as a scenario of sipp has it. Use as a context manager."""

    def __init__(self, folder: Path, *, address: str, says: bytes = b"") -> None:
        self._folder = folder
        self._address = address
        self._says = says
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        (self._folder / "scenario.xml").write_text(self._scenario())
        (self._folder / "says.ulaw").write_bytes(_mu_law(self._says))
        host, port = self._address.split(":")
        self._process = subprocess.Popen(
            [
                *("sipp", "-sf", "scenario.xml", "-i", host, "-p", port, "-m", "1", "-nostdin"),
                *("-trace_logs", "-log_file", "told"),
            ],
            stdout=(self._folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            cwd=self._folder,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    @abstractmethod
    def _scenario(self) -> str:
        """XML; `says.ulaw` holds the words."""


class SippRefuser(_Sipp):
    """Answers with a final SIP status, after ringing where it shall (None: it rings on)."""

    def __init__(
        self,
        folder: Path,
        *,
        address: str,
        status: int | None,
        reason: str,
        rings: bool = True,
        headers: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, address=address)
        self._answers = [(180, "Ringing", ())] if rings else []
        if status is not None:
            self._answers.append((status, reason, tuple(headers)))
        self._is_final = status is not None

    def _scenario(self) -> str:
        sends = "".join(
            _answer(f"{status} {reason}", *headers, tag=True)
            for status, reason, headers in self._answers
        )
        return _xml(f"""
  <recv request="INVITE" crlf="true"/>{sends}
  <recv request="{"ACK" if self._is_final else "CANCEL"}" crlf="true"/>""")


class SippReferred(_Sipp):
    """Answers, says its words, and follows a REFER: where that leads is `outcome`, a SIP status as "200 OK"."""

    def __init__(self, folder: Path, *, address: str, says: bytes, outcome: str) -> None:
        super().__init__(folder, address=address, says=says)
        self._outcome = outcome

    @property
    def refer_to(self) -> str:
        """Where the REFER sent it."""
        return (self._folder / "told").read_text().strip()

    def _scenario(self) -> str:
        host = self._address.partition(":")[0]
        sdp = f"""v=0
o=- 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000"""
        return _xml(f"""
  <recv request="INVITE" rrs="true" crlf="true"/>{_answer("180 Ringing", tag=True)}
  {_answer("200 OK", "Content-Type: application/sdp", tag=True, body=sdp)}
  <recv request="ACK" crlf="true"/>
  <nop><action><exec rtp_stream="says.ulaw,1,0"/></action></nop>
  <recv request="REFER" crlf="true"><action>
    <ereg regexp=".*" search_in="hdr" header="From:" assign_to="them"/>
    <ereg regexp=".*" search_in="hdr" header="To:" assign_to="us"/>
    <ereg regexp=".*" search_in="hdr" header="Refer-To:" assign_to="elsewhere"/>
    <log message="[$elsewhere]"/>
  </action></recv>{_answer("202 Accepted")}
  <send retrans="500"><![CDATA[
NOTIFY [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$us]
To:[$them]
[last_Call-ID:]
CSeq: 1 NOTIFY
Max-Forwards: 70
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Event: refer
Subscription-State: terminated;reason=noresource
Content-Type: message/sipfrag;version=2.0
Content-Length: [len]

SIP/2.0 {self._outcome}
  ]]></send>
  <recv response="200" crlf="true"/>
  <recv request="BYE" crlf="true"/>{_answer("200 OK")}""")


def _xml(steps: str) -> str:
    return f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="a call">{steps}
</scenario>
"""


def _answer(status: str, *headers: str, tag: bool = False, body: str = "") -> str:
    """To the request that came last. `tag`: it is the dialog's first, so ours is not in it yet."""
    lines = "".join(f"{line}\n" for line in headers)
    return f"""
  <send><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:]{";tag=[call_number]" if tag else ""}
[last_Call-ID:]
[last_CSeq:]
{lines}Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Length: [len]

{body}
  ]]></send>"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _mu_law(sound: bytes) -> bytes:
    """PCM of RATE as a telephone's bytes."""
    if not sound:
        return b""
    coder = av.CodecContext.create("pcm_mulaw", "w")
    coder.sample_rate, coder.layout, coder.format = RATE // 2, "mono", "s16"
    samples = np.ascontiguousarray(np.frombuffer(sound, dtype=np.int16)[::2])
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
    frame.sample_rate = RATE // 2
    return b"".join(bytes(packet) for packet in [*coder.encode(frame), *coder.encode(None)])


def _write_wave(file: Path, sound: bytes) -> None:
    """At the telephone's 8 kHz: every second sample, of a sound that holds nothing above 4 kHz."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE // 2)
        out.writeframes(np.frombuffer(sound, dtype=np.int16)[::2].tobytes())


def _read_wave(file: Path) -> bytes:
    """PCM of RATE, resampled where the phone heard at 8 kHz."""
    with wave.open(str(file), "rb") as source:
        rate, sound = source.getframerate(), source.readframes(source.getnframes())
    samples = np.frombuffer(sound, dtype=np.int16)
    places = np.arange(0, len(samples), rate / RATE)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.int16).tobytes()
