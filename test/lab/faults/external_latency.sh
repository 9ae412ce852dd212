# shellcheck shell=bash disable=SC2034,SC2154
# Calls that applications report take much longer than before.
expect=external_latency category=external strength=strong
entity='^billing$'
beside=''
plant() { repeat 0.5 calls 20 900 true; }
remove() { :; }
