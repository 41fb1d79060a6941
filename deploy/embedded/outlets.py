"""Here: what leaves the stack besides its pages, each only where the environment asks for it: metrics, task logs, lineage events.

Not here: notices of runs (``plugins/report_notifier``), or the settings that are always the same (``airflow``).
"""

from collections.abc import Mapping

METRICS_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables, which its library reads: one of them turns metrics on."""
REMOTE_LOGS = "ECG_REMOTE_LOGS"
"""Set to anything but 0, tasks' logs go into the bucket, below ``logs/``, and leave the disk."""

LINEAGE = "OPENLINEAGE_URL"
"""OpenLineage's own variable: where its events go. Airflow's provider sends none without it."""


def settings(environ: Mapping[str, str], *, bucket: str) -> dict[str, dict[str, object]]:
    """Return the sections of Airflow's settings; nothing without a variable that asks for it."""
    found: dict[str, dict[str, object]] = {}
    if any(environ.get(name) for name in METRICS_ENDPOINTS):
        # One name a metric, with tags for what it is about, instead of a metric for each DAG and task.
        found["metrics"] = {"otel_on": True, "legacy_names_on": False}
    if environ.get(REMOTE_LOGS, "0") not in ("", "0"):
        found["logging"] = {
            "remote_logging": True,
            "remote_base_log_folder": f"s3://{bucket}/logs",
            "remote_log_conn_id": "",  # the bucket's own keys, from the environment
            "delete_local_logs": True,
        }
    if environ.get(LINEAGE):
        found["openlineage"] = {"namespace": environ.get("OPENLINEAGE_NAMESPACE", "ecg"), "disable_source_code": True}
    return found


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables for the libraries that do it, where they need any."""
    found: dict[str, str] = {}
    if any(environ.get(name) for name in METRICS_ENDPOINTS):
        found["OTEL_EXPORTER_OTLP_PROTOCOL"] = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if environ.get(REMOTE_LOGS, "0") not in ("", "0"):
        # many S3 servers, the embedded one too, do not know the newer trailing checksums
        found |= dict.fromkeys(("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"), "when_required")
    return found
