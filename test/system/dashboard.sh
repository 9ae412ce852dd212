#!/bin/bash
#
# The dashboard in a real browser: what people see and do there, on a phone and in the dark, with and
# without the right to. Screenshots stay in PERFOPT_ARTEFACTS, if that names a folder.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

here=$PERFOPT_ROOT/test/system/browser
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$chromium" ]; then
	skip "no chromium here" 1
	done_testing
	exit
fi

cluster_start main "shared_preload_libraries = 'perfopt'" "perfopt.collect_interval = 2s"
sql() { cluster_psql main -At "$@"; }
sql -o /dev/null -c 'CREATE EXTENSION perfopt' \
	-c "CREATE ROLE vera LOGIN PASSWORD 'vera-pw'" -c "CREATE ROLE olaf LOGIN PASSWORD 'olaf-pw'" -c "CREATE ROLE nemo LOGIN PASSWORD 'nemo-pw'" \
	-c "SELECT perfopt.grant_access('vera', 'viewer')" -c "SELECT perfopt.grant_access('olaf', 'operator')" \
	-c "CREATE USER MAPPING FOR olaf SERVER perfopt_local OPTIONS (user 'olaf', password_required 'false')" \
	-c "INSERT INTO perfopt.scenario (name) VALUES ('one')" -c "INSERT INTO perfopt.operation (scenario, name, weight, script) VALUES ('one', 'one', 1, 'SELECT 1')" \
	-c "UPDATE perfopt.threshold SET enabled = false" \
	-c "SELECT perfopt.record_metric('shop_queue_length', 17, '{\"queue\": \"<img src=x onerror=alert(1)>\"}')" \
	-c "SELECT perfopt.set_threshold('shop_queue_length', '>', 1, 2, cooldown => '1 hour')" -c 'SELECT perfopt.collect_now()' -c 'SELECT perfopt.evaluate_alerts()'
gateway_start main main

work=$(mktemp -d)
artefacts=${PERFOPT_ARTEFACTS:-$work/screenshots}
mkdir -p "$artefacts"
cp "$here"/* "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund >"$work/npm.log" 2>&1) || { cat "$work/npm.log" >&2; die "npm could not install what the tests need"; }
curl -s "${GATEWAY_URL[main]}/openapi.json" >"$work/openapi.json"
ok "/openapi.json is valid OpenAPI 3.1" "$work/node_modules/.bin/validate-api" "$work/openapi.json"
while read -r line; do
	case "$line" in
		"ok "*) pass "${line#ok }" ;;
		"not ok "*) fail "${line#not ok }" ;;
		*) diag "${line#\# }" ;;
	esac
done < <(timeout 240 node "$work/dashboard.mjs" "${GATEWAY_URL[main]}" "$artefacts" "$chromium" 2>&1 || echo "not ok the browser came to its end")
at_most "page, style and script are small (bytes, compressed)" \
	"$(for path in / /dashboard.css /dashboard.js; do curl -s -H 'Accept-Encoding: gzip' "${GATEWAY_URL[main]}$path" | wc -c; done | awk '{ sum += $1 } END { print sum }')" 150000
[ -n "${PERFOPT_ARTEFACTS:-}" ] || rm -rf "$work"
done_testing
