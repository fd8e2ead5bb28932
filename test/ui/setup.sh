#!/usr/bin/env bash
# Puts what package-lock.json names into a directory, once, and prints where Chromium is. Prints why it cannot and exits 1;
# with CI unset, it exits 3 where Node or Chromium is missing, which means: skip.
set -euo pipefail
dir=$1 here=$(dirname "$0")
missing() {
	echo "test-ui: $1" >&2
	[ -n "${CI:-}" ] && exit 1
	echo "test-ui: skipped; in CI this is a failure" >&2
	exit 3
}
command -v node >/dev/null || missing "there is no node: install Node.js 20 or newer"
version=$(node --version | sed -nE 's/^v([0-9]+).*/\1/p')
[ "${version:-0}" -ge 20 ] || missing "this is Node.js ${version:-of no known version}: the test needs 20 or newer"
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
	missing "there is no chromium: install it, as with apt-get install chromium"
if ! cmp -s "$here/package-lock.json" "$dir/package-lock.json" || [ ! -d "$dir/node_modules/playwright-core" ]; then
	command -v npm >/dev/null || missing "there is no npm, which gets playwright-core"
	rm -rf "$dir"
	mkdir -p "$dir"
	cp "$here/package.json" "$here/package-lock.json" "$dir"
	npm ci --ignore-scripts --silent --prefix "$dir" >&2
fi
echo "$chromium"
