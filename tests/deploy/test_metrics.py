"""Metrics: off unless asked for, received as OTLP, and what the dashboard asks for is what a running stack has really sent."""

import json
import re
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from deploy.embedded import airflow, outlets
from deploy.embedded.home import Home
from deploy.metrics import listen

METRICS = Path(__file__).parents[2] / "deploy" / "metrics"
RECEIVED = json.loads((METRICS / "received.json").read_text())
"""Recorded from a whole embedded stack by ``deploy.metrics.listen``; docs/operations.md has the commands."""
EXPRESSIONS = [target["expr"] for panel in json.loads((METRICS / "dashboard.json").read_text())["panels"] for target in panel["targets"]]
UNITS = {"": "", "ms": "_milliseconds"}


def in_prometheus(name: str, kind: str, unit: str) -> str:
    """What Prometheus calls a metric that it takes by OTLP, with suffixes: its documentation's rule, written anew."""
    return re.sub(r"[^a-zA-Z0-9_:]", "_", name) + UNITS[unit] + ("_total" if kind == "sum" else "")


@pytest.fixture
def home(tmp_path):
    """An empty state folder."""
    home = Home(tmp_path)
    home.create()
    return home


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_dashboard_asks_for_what_is_sent(expression):
    """Every metric of a panel, and every tag that it groups or chooses by, is among those that a stack has sent."""
    sent = {in_prometheus(name, one["kind"], one["unit"]): set(one["tags"]) for name, one in RECEIVED.items()}
    asked = re.findall(r"\bairflow_\w+", expression)
    assert asked
    tags = {tag.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for tag in group.split(",")}
    tags |= set(re.findall(r"[{,]\s*(\w+)\s*=", expression))
    for name in asked:
        assert name in sent
        assert tags <= sent[name]


def test_prometheus_names_metrics_as_the_dashboard_expects():
    """The mapping that the dashboard rests on is the one that is configured."""
    configured = yaml.safe_load((METRICS / "prometheus.yaml").read_text())
    assert configured["otlp"]["translation_strategy"] == "UnderscoreEscapingWithSuffixes"


def test_what_is_sent_by_otlp_is_written_down(tmp_path, monkeypatch):
    """A counter, a gauge and a histogram from OpenTelemetry's own exporter arrive with kind, unit and tags."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    monkeypatch.setattr(listen.Receiver, "received", {}, raising=False)
    monkeypatch.setattr(listen.Receiver, "file", tmp_path / "received.json", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), listen.Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        exporter = OTLPMetricExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/metrics")
        provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)])
        meter = provider.get_meter("test")
        meter.create_counter("a.count").add(1, {"dag_id": "x"})
        meter.create_gauge("a.level").set(2, {"pool_name": "y"})
        meter.create_histogram("a.time", unit="ms").record(3)
        provider.shutdown()
        server.shutdown()
    assert json.loads((tmp_path / "received.json").read_text()) == {
        "a.count": {"kind": "sum", "unit": "", "tags": ["dag_id"]},
        "a.level": {"kind": "gauge", "unit": "", "tags": ["pool_name"]},
        "a.time": {"kind": "histogram", "unit": "ms", "tags": []},
    }


def test_nothing_leaves_the_stack_unless_asked(home, monkeypatch):
    """Without a variable there are no metrics, and logs stay on the disk; a 0 is a no."""
    for name in (*outlets.METRICS_ENDPOINTS, outlets.REMOTE_LOGS):
        monkeypatch.delenv(name, raising=False)
    assert outlets.settings({}, bucket="b") == outlets.variables({}) == {}
    assert outlets.settings({outlets.REMOTE_LOGS: "0"}, bucket="b") == {}
    seen = airflow.environment(home)
    assert not {"AIRFLOW__METRICS__OTEL_ON", "AIRFLOW__LOGGING__REMOTE_LOGGING"} & seen.keys()


@pytest.mark.parametrize("endpoint", outlets.METRICS_ENDPOINTS)
def test_metrics_and_logs_are_switched_on_by_the_environment(home, monkeypatch, endpoint):
    """Either of OpenTelemetry's variables turns metrics on; logs go into the bucket that the pipeline works in."""
    monkeypatch.setenv(endpoint, "http://127.0.0.1:4318")
    monkeypatch.setenv(outlets.REMOTE_LOGS, "1")
    seen = airflow.environment(home)
    assert seen["AIRFLOW__METRICS__OTEL_ON"] == "True"
    assert seen["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert seen["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "True"
    assert seen["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"] == "s3://ecg/logs"
    assert seen["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] == str(home.logs / "tasks")
