"""Here: what of the scheduler's environment its tasks get. Not here: starting them (``executor``).

A task speaks with Airflow's execution API by a token of its own, which comes with its workload: it needs neither the database, nor the key
that signs tokens, nor the one that connections are sealed with. It works in the bucket, so it has the keys to that and the patient key.
"""

import re
from collections.abc import Mapping

NOWHERE = "postgresql+psycopg2://none@none.invalid/none"
"""Where a task finds Airflow's database, as in the distributed stack: Airflow wants an address, and this one leads nowhere."""
_SYSTEM = "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR PWD VIRTUAL_ENV LD_LIBRARY_PATH PYTHONPATH AIRFLOW_HOME SPT_NOENV"
_SYSTEM += " SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"
_PREFIXES = "LC_ AWS_ ECG_ OTEL_ OPENLINEAGE_ COVERAGE_ TF_ KERAS_ XLA_ CUDA_ NVIDIA_ OMP_ OPENBLAS_ MKL_ NUMBA_ ORT_ JAX_ TORCH_"
_SECTIONS = "LOGGING METRICS TRACES OPENLINEAGE WORKERS"
_AIRFLOW = (
    "CORE__DAGS_FOLDER CORE__PLUGINS_FOLDER CORE__EXECUTOR CORE__PARALLELISM CORE__LOAD_EXAMPLES CORE__HOSTNAME_CALLABLE "
    "CORE__EXECUTION_API_SERVER_URL API__BASE_URL"
)
_NOT = re.compile(r"ECG_NOTIFY|ECG_ADMIN_PASSWORD|ECG_BACKUP_|ECG_STORE_KEY|AIRFLOW__\w+_(CMD|SECRET)$")
"""Notices go out from the DAG processor, and their addresses may hold secrets; backups and the store's own key are no matter of tasks."""
_KEPT = re.compile(
    f"({'|'.join(_SYSTEM.split())}|\\w+_proxy|({'|'.join(_PREFIXES.split())})\\w+"
    f"|AIRFLOW__(({'|'.join(_SECTIONS.split())})__\\w+|{'|'.join(_AIRFLOW.split())}))",
    re.IGNORECASE,
)


def of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a task needs, and nothing else.

    >>> seen = of({"HOME": "/h", "ECG_BUCKET": "b", "AIRFLOW__API_AUTH__JWT_SECRET": "j", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "d"})
    >>> sorted(seen.items())
    [('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', 'postgresql+psycopg2://none@none.invalid/none'), ('ECG_BUCKET', 'b'), ('HOME', '/h')]
    """
    kept = {name: value for name, value in environ.items() if _KEPT.fullmatch(name) and not _NOT.match(name)}
    return kept | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": NOWHERE}
