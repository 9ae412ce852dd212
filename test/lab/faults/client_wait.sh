# shellcheck shell=bash disable=SC2034,SC2154
# Two clients that ask for many rows and do not take them.
expect=client_wait category=network strength=strong
entity='.'
beside='top_statement'
slow_reader() { ask "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT" | { sleep 600; cat >/dev/null; }; }
plant()
{
	in_background slow_reader
	in_background slow_reader
}
remove() { :; }
