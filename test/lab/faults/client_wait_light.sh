# shellcheck shell=bash disable=SC2034,SC2154
# One that pauses between the rows it takes.
expect=client_wait category=network strength=light
entity='.'
beside='top_statement'
slow_reader() { ask "COPY (SELECT repeat('x', 10000) FROM generate_series(1, 1000000)) TO STDOUT" | while IFS= read -r _; do sleep 0.01; done; }
plant() { in_background slow_reader; }
remove() { :; }
