# shellcheck shell=bash disable=SC2034,SC2154
# A target that takes half a second longer than it used to.
expect=external_latency category=external strength=strong
entity='^api$'
beside=''
plant() { api wait/500; }
remove() { api ok; }
