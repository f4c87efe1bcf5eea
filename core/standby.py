"""What a dashboard and its standby worker say to each other: a JSON object a line, on the worker's stdin and stdout."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from core.layer_table import LayerTable
from core.problems import Message


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Asks for the layer table of a network."""

    model: str


class Train(msgspec.Struct, frozen=True, tag=True):
    """Hands over a run directory: from here on the worker goes its own way, whatever becomes of the dashboard."""

    run_dir: str


Request: TypeAlias = Describe | Train


class DeviceInfo(msgspec.Struct, frozen=True):
    """One that can train. Memory in bytes, use from 0 to 1, where the device tells."""

    id: str
    name: str
    free_memory: int | None = None
    total_memory: int | None = None
    use: float | None = None


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The libraries are loaded: the next run starts at once."""

    devices: tuple[DeviceInfo, ...]
    """The best first: the one that `auto` means."""


class Described(msgspec.Struct, frozen=True, tag=True):
    table: LayerTable


class Refused(msgspec.Struct, frozen=True, tag=True):
    """There is no layer table for this network."""

    model: str
    message: Message
    advice: Message


Answer: TypeAlias = Ready | Described | Refused

encode = msgspec.json.Encoder().encode
decode_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
decode_answer: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
