#!/usr/bin/env bash
# Puts the jars of the real Kafka broker that pom.xml names into a directory, once. Prints why it cannot and exits 1;
# with CI unset, it exits 3 where Java 17 or Maven is missing, which means: skip.
set -euo pipefail
dir=$1 pom=$(dirname "$0")/pom.xml
missing() {
	echo "test-kafka: $1" >&2
	[ -n "${CI:-}" ] && exit 1
	echo "test-kafka: skipped; in CI this is a failure" >&2
	exit 3
}
command -v java >/dev/null || missing "there is no java: install Java 17 or newer"
version=$(java -version 2>&1 | sed -nE '1s/.*"([0-9]+).*/\1/p')
[ "${version:-0}" -ge 17 ] || missing "this is Java ${version:-of no known version}: the broker needs 17 or newer"
cmp -s "$pom" "$dir/pom.xml" && exit 0
command -v mvn >/dev/null || missing "there is no mvn: install Maven, which gets the broker's jars"
rm -rf "$dir"
mkdir -p "$dir"
mvn -q -B -f "$pom" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
	-DincludeScope=runtime -DoutputDirectory="$(cd "$dir" && pwd)"
cp "$pom" "$dir/pom.xml"
