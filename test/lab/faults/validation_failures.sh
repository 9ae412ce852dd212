# shellcheck shell=bash disable=SC2034,SC2154
# What comes in no longer passes its checks.
expect=validation_failures category=external strength=strong
entity='dataset integration'
beside=''
validate() { ask "INSERT INTO integration.validation_result (entity_id, rule, passed) SELECT g, 'format', g % 4 = 0 FROM generate_series(1, 100) g"; }
plant() { repeat 0.5 validate; }
remove() { :; }
