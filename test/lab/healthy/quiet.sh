# shellcheck shell=bash disable=SC2034,SC2154
# Nothing but the light load behind all cases.
expect='' beside=''
plant() { :; }
remove() { :; }
