# shellcheck shell=bash disable=SC2034,SC2154
# A target that takes the connection and never answers.
expect=external_down category=external strength=strong
entity='^api$'
beside='external_latency|external_errors'
plant() { kill -STOP "$api_pid"; }
remove() { kill -CONT "$api_pid"; }
