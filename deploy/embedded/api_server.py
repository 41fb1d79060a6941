"""Here: Airflow's api-server: plain for what runs beside it, and by TLS for people. Not here: certificates (``certificate``).

``python -m deploy.embedded.api_server --port 8080 [--tls-host 0.0.0.0 --tls-port 8443 --cert FILE --key FILE [--made-for NAME,…]]``

Airflow serves with TLS or without. With it, its tasks would have to reach it by a name in the certificate, and a given one has no name
for this machine alone. So the same application listens twice in one process, and a renewed certificate is taken up without a restart.
Without TLS the process is the same: Airflow's own wakes ten times a second to see whether it shall end.
"""

import argparse
import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from deploy.embedded import certificate, component

LOOK_S = 60.0
"""Between two looks at the certificate's files."""
ROUND_S = 1.0
"""Between two looks whether the server shall end; the date in its answers is as old at most."""
AIRFLOWS_OWN: dict[str, Any] = {"access_log": False, "log_config": None, "proxy_headers": False, "timeout_keep_alive": 120}
"""As ``airflow api-server`` sets uvicorn up."""
DRAIN_S = 8
"""For answers that are not whole when the server is to stop; the supervisor waits ten seconds."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, and wakes once a second while nobody asks."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(ROUND_S)


async def serve(options: argparse.Namespace) -> None:
    """Serve until a signal comes: first who is inside, and, when the application has started, people by TLS where that is asked for."""
    from airflow.api_fastapi.main import app

    component.started()
    config = partial(uvicorn.Config, app, timeout_graceful_shutdown=DRAIN_S, **AIRFLOWS_OWN)
    inner = _Server(config(host=options.host, port=options.port, lifespan="on"))
    servers = [inner]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop)
    if options.cert is None:
        await inner.serve()
        return
    certified = {"ssl_certfile": options.cert, "ssl_keyfile": options.key}
    outer = _Server(config(host=options.tls_host, port=options.tls_port, lifespan="off", **certified))
    servers.append(outer)  # it ends first: with the inner one the application does
    serving = asyncio.create_task(inner.serve())
    while not inner.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.05)
    renewing = asyncio.create_task(_renew(outer, options))
    try:
        await outer.serve()
    finally:
        renewing.cancel()
        stop()
        await serving


async def _renew(server: uvicorn.Server, options: argparse.Namespace) -> None:
    """Take up a certificate whose files have changed, and make a new one in time where it is made here; for connections from then on."""
    known = _state(options)
    while True:
        await asyncio.sleep(LOOK_S)
        with contextlib.suppress(OSError, ValueError):  # half written: it is looked at again
            if options.made_for:
                await asyncio.to_thread(certificate.ensure_made, options.cert.parent, options.made_for.split(","))
            now = _state(options)
            if now != known and server.config.ssl is not None:
                certificate.check(options.cert, options.key)
                server.config.ssl.load_cert_chain(options.cert, options.key)
                known = now


def _state(options: argparse.Namespace) -> tuple[float, ...]:
    return tuple(file.stat().st_mtime for file in (options.cert, options.key))


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-host")
    parser.add_argument("--tls-port", type=int)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--made-for", default="")
    os.environ["AIRFLOW_API_APPS"] = "all"
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
