# shellcheck shell=bash disable=SC2034,SC2154
# A tenth of the calls fails.
expect=external_errors category=external strength=strong
entity='^billing$'
beside=''
fail_some()
{
	calls 18 12 true
	calls 2 12 false
}
plant() { repeat 0.5 fail_some; }
remove() { :; }
