# Installs a lock into a virtual environment, the same bytes at every run: install.sh LOCK FOLDER (SOURCE_DATE_EPOCH is set).
set -eu
[ -e "$PIP_CONFIG_FILE" ] || unset PIP_CONFIG_FILE
python3.11 -m venv "$2"
# The lock is whole, and made by a resolver that, unlike pip, does not take a package's upper bound on Python for a ban.
"$2/bin/python" -m pip install --no-compile --no-deps --ignore-requires-python --require-hashes -r "$1"
"$2/bin/python" -m pip uninstall --quiet --yes pip
# What only says when and from where it was installed, and tests, which nothing runs.
find "$2" -name direct_url.json -delete
find "$2" -name __pycache__ -type d -prune -exec rm -rf {} +
# Some packages carry files for other Pythons, which do not compile here.
PYTHONDONTWRITEBYTECODE=1 "$2/bin/python" -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$2/lib" >/dev/null || true
find "$2" -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +
