#!/usr/bin/env bash
# Puts moto and what it needs, as in requirements.txt, into a directory, once. Prints why it cannot and exits 1; with CI
# unset, it exits 3 where Python is missing, which means: skip.
set -euo pipefail
dir=$1 list=$(dirname "$0")/requirements.txt
missing() {
	echo "test-cloudwatch: $1" >&2
	[ -n "${CI:-}" ] && exit 1
	echo "test-cloudwatch: skipped; in CI this is a failure" >&2
	exit 3
}
command -v python3 >/dev/null || missing "there is no python3: install Python 3.9 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || missing "$(python3 --version) is too old: moto needs 3.9 or newer"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing "this Python has no venv: install python3-venv"
cmp -s "$list" "$dir/requirements.txt" && exit 0
echo "test-cloudwatch: installing moto into $dir"
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
cp "$list" "$dir/requirements.txt"
