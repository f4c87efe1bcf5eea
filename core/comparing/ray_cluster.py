"""A Ray cluster, asked by a process of its own before anything is started there: is it there, and what does it have?"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec

from core.comparing.commands import answer, never
from core.comparing.engine import RAY
from core.messages import N_, Problem
from core.runs.provenance import check_versions, provenance
from core.worker import launch

_ANSWER_S = 10
"""Seconds within which an address must take a connection."""
_CONNECT_S = 60
"""Seconds within which the cluster must then be ready: Ray starts a process there for each who comes."""
_NODES_S = 90
_NOT_INSTALLED = N_("Ray is not installed, which carries out runs on a cluster")
_NO_ANSWER = N_("no Ray cluster answers at {address}: {reason}")
_NO_CLUSTER = N_("there is no Ray cluster on this machine: {reason}")


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cluster says, or why it says nothing."""

    reason: str = ""
    """What Ray says, if it could not be reached."""
    has_gpus: bool = False
    versions: list[tuple[str, dict[str, str]]] = []
    """The name of each node, with the versions there of what decides the numbers."""
    unable: tuple[str, str] | None = None
    """A node that cannot say them, and why."""


def check(cluster: str, device: str, should_stop: Callable[[], bool] = never) -> bool:
    """Tell if runs get a GPU on a cluster; `cluster` and `device` are as a user asks for them.

    Raises `Problem` if Ray is not installed, the cluster does not answer, a node of it has other versions than this
    machine, or it has no GPU and one is asked for; and `GivenUp` once it `should_stop`.
    """
    facts = _ask(cluster, should_stop)
    own = versions()
    if facts.unable is not None:
        text = N_("node {node} of the Ray cluster cannot train: {reason}")
        raise Problem(text, node=facts.unable[0], reason=facts.unable[1])
    for node, others in facts.versions:
        check_versions(node, others, own)
    if device.startswith("cuda") and not facts.has_gpus:
        raise Problem(N_("the Ray cluster has no GPU"), advice=N_("Leave out --device, or give --device cpu."))
    return facts.has_gpus


def connect(cluster: str) -> Any:
    """Return the library, connected to a cluster. Raises `ImportError`, or what it raises if that does not answer."""
    import ray

    with (
        Path(os.devnull).open("w") as nothing,
        redirect_stdout(nothing),
        redirect_stderr(nothing),
        chdir("/"),  # Ray has its workers import from the folder where it is connected: it may have a `core`, too
    ):
        if cluster == RAY and os.environ.get("RAY_ADDRESS") == "local":
            raise ConnectionError("RAY_ADDRESS is local, which would start one")
        address = os.environ.get("RAY_ADDRESS", "auto") if cluster == RAY else cluster
        on_sigterm = signal.getsignal(signal.SIGTERM)
        begin = partial(ray.init, address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            begin()
        except ConnectionAbortedError:  # the process that Ray starts for each who comes may die as it starts
            begin()
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts its own in its place, which exits at once
    return ray


def versions() -> dict[str, str]:
    """Return the versions of what decides the numbers, and of Ray."""
    import ray

    return {**provenance().versions, "ray": str(ray.__version__), "mnist-tui's code": _digest_of_code()}


def _digest_of_code() -> str:
    core = Path(__file__).parents[1]
    content = b"".join(path.read_bytes() for path in sorted(core.rglob("*.py")))
    return hashlib.sha256(content).hexdigest()[:12]


def pinned_to(node_id: str) -> Any:
    """Return what keeps a task or an actor on a node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)


def _ask(cluster: str, should_stop: Callable[[], bool]) -> Facts:
    """Have another process ask a cluster: it may hang, and what Ray prints is nobody's business. Raises `Problem`."""
    try:
        asked = answer(launch.command(__name__, cluster), _CONNECT_S + _NODES_S, should_stop)
    except subprocess.TimeoutExpired as error:
        text = N_("the nodes of the Ray cluster do not answer within {seconds} s: are all of them busy?")
        raise Problem(text, seconds=_NODES_S) from error
    if asked.returncode == -signal.SIGALRM:
        raise _unreached(cluster, f"> {_ANSWER_S if cluster == RAY else _CONNECT_S} s")
    try:
        facts = msgspec.json.decode(asked.stdout.rpartition("\n")[2], type=Facts)
    except msgspec.MsgspecError as error:
        lines = asked.stderr.strip().splitlines() or ["–"]
        raise _unreached(cluster, lines[-1]) from error
    if facts.reason == _NOT_INSTALLED:
        raise Problem(_NOT_INSTALLED, advice=N_("Install it: pip install 'mnist-tui[ray]'."))
    if facts.reason:
        raise _unreached(cluster, facts.reason)
    return facts


def _unreached(cluster: str, why: str) -> Problem:
    tokens = N_("If it asks for tokens, as one of `ray start` may, set RAY_AUTH_MODE=token here, too.")
    if cluster != RAY:
        return Problem(_NO_ANSWER, advice=tokens, address=cluster, reason=why)
    advice = N_("Start one with `ray start --head`, or give its address: --on ray://HOST:10001.")
    if (Path.home() / ".ray" / "auth_token").exists() and "RAY_AUTH_MODE" not in os.environ:
        advice = tokens  # one that `ray start` starts then asks for them
    return Problem(_NO_CLUSTER, advice=advice, reason=why)


def main() -> None:
    """Print what the cluster that the first argument names says, as JSON."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    facts = _facts(sys.argv[1])
    os.write(1, b"\n" + msgspec.json.encode(facts))
    os._exit(0)


def _check_speaks(address: str) -> None:
    """Raise `ConnectionError` if something else listens there: Ray itself would try for half a minute."""
    import grpc

    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:  # as Ray's own
        try:
            grpc.channel_ready_future(channel).result(_ANSWER_S)
        except grpc.FutureTimeoutError as error:
            raise ConnectionError(f"> {_ANSWER_S} s") from error


def _facts(cluster: str) -> Facts:
    try:
        import ray
    except ImportError:
        return Facts(reason=_NOT_INSTALLED)
    signal.alarm(_ANSWER_S if cluster == RAY else _CONNECT_S)
    try:
        if cluster != RAY:
            host, _colon, port = cluster.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
            _check_speaks(f"{host}:{port}")
        connect(cluster)
    except Exception as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Facts(reason=" ".join(said[:2]) or type(error).__name__)
    signal.alarm(_CONNECT_S + _NODES_S)  # in case that nobody waits for the answer any more
    nodes = [node for node in cast(Any, ray).nodes() if node["Alive"]]
    ask = ray.remote(num_cpus=0)(versions)
    asked = [ask.options(scheduling_strategy=pinned_to(node["NodeID"])).remote() for node in nodes]
    found = []
    for node, reference in zip(nodes, asked, strict=True):
        name = node["NodeManagerHostname"]
        try:
            found.append((name, ray.get(reference)))
        except ray.exceptions.RayTaskError as error:
            return Facts(unable=(name, str(error).strip().splitlines()[-1]))
        except ray.exceptions.RayError:
            continue  # the node is gone
    return Facts(has_gpus=any(node["Resources"].get("GPU", 0) > 0 for node in nodes), versions=found)
