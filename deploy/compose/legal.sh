# Writes what an environment holds: legal.sh ENVIRONMENT CYCLONEDX FOLDER (SOURCE_DATE_EPOCH is set, or the list has no time).
# FOLDER/NOTICE, for people: it ends with an error where a licence will not do. FOLDER/sbom.cdx.json, for programs, checked against CycloneDX's schema.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
mkdir -p "$3"
"$1/bin/python" -I "$here/notice.py" "$1" >"$3/NOTICE"
"$2" environment --output-reproducible --output-format JSON --output-file "$3/sbom.cdx.json" "$1/bin/python"
