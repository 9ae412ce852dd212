# shellcheck shell=bash disable=SC2034,SC2154
# A target that answers with an error.
expect=external_down category=external strength=strong
entity='^api$'
beside='external_latency|external_errors'
plant() { api status/503; }
remove() { api ok; }
