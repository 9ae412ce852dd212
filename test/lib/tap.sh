# shellcheck shell=bash
#
# test/lib/tap.sh: a system test's way to say what it found, in TAP. A test is an executable
# test/system/NAME.sh that starts like this and ends with done_testing:
#
#   #!/bin/bash
#   # What this proves, and why it could break.
#   set -euo pipefail
#   . "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"
#
# script/lib.sh is loaded as well, and what was started through it ends with the test. A test that
# dies on the way prints no plan, which the runner takes as a failure.

# shellcheck source=script/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../script/lib.sh"

tap_number=0
tap_failed=0

tap_end()
{
	local status=$?

	if [ $status != 0 ] && [ $tap_failed = 0 ]; then
		echo "# ended early with exit code $status"
	fi
	(exit $status) || true
	cleanup || true
	exit $status
}
trap tap_end EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

pass()
{
	tap_number=$((tap_number + 1))
	echo "ok $tap_number - $1"
}

fail()
{
	tap_number=$((tap_number + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_number - $1"
}

# skip WHY N: the next N tests cannot be made on this machine. They count neither as passed nor as failed.
skip()
{
	local i

	for ((i = 0; i < $2; i++)); do
		tap_number=$((tap_number + 1))
		echo "ok $tap_number # SKIP $1"
	done
}

# ok DESCRIPTION CMD...: CMD succeeds. (`!` is no command; see nok.)
ok()
{
	local what=$1
	shift
	if "$@" >/dev/null 2>&1; then pass "$what"; else
		fail "$what"
		diag "failed: $*"
	fi
}

# nok DESCRIPTION CMD...: CMD fails.
nok()
{
	local what=$1
	shift
	if "$@" >/dev/null 2>&1; then
		fail "$what"
		diag "succeeded: $*"
	else pass "$what"; fi
}

# is DESCRIPTION GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then pass "$1"; else
		fail "$1"
		diag "     got: $2"
		diag "expected: $3"
	fi
}

# isnt DESCRIPTION GOT UNWANTED
isnt()
{
	if [ "$2" != "$3" ]; then pass "$1"; else
		fail "$1"
		diag "got what it must not be: $2"
	fi
}

# like DESCRIPTION TEXT REGEX, with an extended regular expression that one line has to match
like()
{
	if grep -qE -- "$3" <<<"$2"; then pass "$1"; else
		fail "$1"
		diag "no line matches: $3"
		diag "$2"
	fi
}

# unlike DESCRIPTION TEXT REGEX
unlike()
{
	if grep -qE -- "$3" <<<"$2"; then
		fail "$1"
		diag "this matches $3:"
		diag "$(grep -E -- "$3" <<<"$2")"
	else pass "$1"; fi
}

# at_most DESCRIPTION GOT LIMIT, numbers with or without a fraction
at_most()
{
	if awk -v got="$2" -v limit="$3" 'BEGIN { exit !(got + 0 <= limit + 0) }'; then pass "$1"; else
		fail "$1"
		diag "got $2, limit $3"
	fi
}

# open_files PID CLUSTER: descriptors of a server process, without the tables that the server itself keeps open.
open_files() { find "/proc/$1/fd" -type l ! -lname "${CLUSTER_DATA[$2]}/*" | wc -l; }

done_testing()
{
	echo "1..$tap_number"
	[ $tap_failed = 0 ] || exit 1
}
