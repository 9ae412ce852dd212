# shellcheck shell=bash disable=SC2034,SC2154
# A Redis that hangs: it is stopped.
expect=cache_down category=cache strength=strong
entity='^cache$'
beside='cache_latency'
plant() { kill -STOP "$(cache_pid)"; }
remove() { kill -CONT "$(cache_pid)"; }
