"""Here: Airflow's api-server behind two doors: plain for what runs beside it, and TLS for people. Not here: certificates (``certificate``).

``python -m deploy.embedded.api_server --port 8080 --tls-host 0.0.0.0 --tls-port 8443 --cert FILE --key FILE [--made-for NAME,…]``

Airflow serves with TLS or without. With it, its tasks would have to reach it by a name in the certificate, and a given one has no name
for this machine alone. So the same application listens twice in one process, and a renewed certificate is taken up without a restart.
"""

import argparse
import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvicorn

from deploy.embedded import certificate

LOOK_S = 60.0
"""Between two looks at the certificate's files."""
DRAIN_S = 8
"""For answers that are not whole when the server is to stop; the supervisor waits ten seconds."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(options: argparse.Namespace) -> None:
    """Serve until a signal comes: first who is inside, and, when the application has started, people."""
    from airflow.api_fastapi.main import app

    # access_log, log_config: as Airflow's own command has it
    config = partial(uvicorn.Config, app, access_log=False, log_config=None, timeout_graceful_shutdown=DRAIN_S)
    inner = _Server(config(host=options.host, port=options.port, lifespan="on"))
    certified = {"ssl_certfile": options.cert, "ssl_keyfile": options.key}
    outer = _Server(config(host=options.tls_host, port=options.tls_port, lifespan="off", **certified))
    servers = (outer, inner)  # the inner one ends last: with it the application does

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop)
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
    parser.add_argument("--tls-host", required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--cert", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--made-for", default="")
    os.environ["AIRFLOW_API_APPS"] = "all"
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
