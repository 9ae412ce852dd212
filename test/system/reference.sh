#!/bin/bash
# The reference in docs/ says what the database says, and every object says something.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

made=$("$PERFOPT_ROOT/script/reference")
is "docs/reference.md is what script/reference makes" "$(diff <(printf '%s\n' "$made") "$PERFOPT_ROOT/docs/reference.md" 2>&1 | head -20)" ""
unlike "every object has a comment" "$made" '^No comment\.$'
functions=$(sed -n '/^## Functions/,/^## [AVT]/p' <<<"$made")
is "each function's comment has an example" \
	"$(awk '/^### /{name=$0} /^[A-Z]/{if ($0 !~ /Example|example/) print name}' <<<"$functions")" ""
done_testing
