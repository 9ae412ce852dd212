# shellcheck shell=bash disable=SC2034,SC2154
# What comes in no longer passes its checks.
expect=validation_failures category=external strength=strong
entity='dataset integration'
beside=''
plant() { repeat 0.5 validate 'g % 4 = 0'; }
remove() { :; }
