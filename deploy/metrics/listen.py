"""Here: an OTLP receiver that writes down which metrics arrive: ``python -m deploy.metrics.listen PORT FILE``. Not here: keeping values.

This is how ``received.json``, the list that the dashboard is tested against, was recorded; docs/operations.md has the commands.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse


def kept(received: dict[str, Any], body: bytes) -> None:
    """Add the metrics of one request: name to kind, unit and the names of its tags."""
    request = ExportMetricsServiceRequest.FromString(body)
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                known = received.setdefault(metric.name, {"kind": kind, "unit": metric.unit, "tags": []})
                tags = {attribute.key for point in getattr(metric, kind).data_points for attribute in point.attributes}
                known["tags"] = sorted(tags | set(known["tags"]))


class Receiver(BaseHTTPRequestHandler):
    """Takes what any path is posted."""

    received: dict[str, Any]
    file: Path

    def do_POST(self) -> None:
        """Write down one request's metrics."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept(self.received, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.file.write_text(json.dumps(dict(sorted(self.received.items())), indent=1) + "\n")
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(ExportMetricsServiceResponse().SerializeToString())

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    """Listen for metrics; the arguments are the port and the file."""
    Receiver.received, Receiver.file = {}, Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()


if __name__ == "__main__":
    main()
