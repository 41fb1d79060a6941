"""Here: the store's requests by their kind, for a benchmark. Not here: asking for it, and counting them (``benchmarks.stack_night``).

No stack has this filter in its proxy unless `object_store.NOTES_REQUESTS` is set where it is started.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

_Proxy = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def kind(environ: dict[str, Any]) -> str:
    """Return the kind of a request in S3, and the first folder of its key or of the listed prefix.

    >>> kind({"REQUEST_METHOD": "PUT", "PATH_INFO": "/ecg/raw/a.hea", "HTTP_X_AMZ_COPY_SOURCE": "/ecg/inbox/a.hea"})
    'copy raw'
    """
    method, (bucket, _, key) = environ["REQUEST_METHOD"].lower(), str(environ["PATH_INFO"]).lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if bucket in {"v1", "auth"}:
        return f"{method} of the store's own"
    if not key:
        name = "list" if "list-type" in query else "delete many" if "delete" in query else f"{method} bucket"
        return f"{name} {query.get('prefix', [''])[0].partition('/')[0]}".strip()
    name = "part" if query.keys() & {"uploads", "uploadId"} else "copy" if "HTTP_X_AMZ_COPY_SOURCE" in environ else method
    return f"{name} {key.partition('/')[0]}"


def noted(_common: dict[str, str], *, file: str, **_paste: str) -> Callable[[_Proxy], _Proxy]:
    """Make the filter that adds the kind of each request to a file, a line each (``paste.filter_factory``)."""
    lines = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def filtered(proxy: _Proxy) -> _Proxy:
        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            os.write(lines, f"{kind(environ)}\n".encode())
            return proxy(environ, start_response)

        return answer

    return filtered
