# shellcheck shell=bash disable=SC2034,SC2154
# A reconciliation finds that much has drifted apart.
expect=reconciliation_mismatches category=external strength=strong
entity='dataset integration'
beside=''
plant()
{
	ask "INSERT INTO integration.reconciliation_run (system_id, status, finished_at, matched, mismatched) VALUES (1, 'done', now(), 100, 60)"
}
remove() { :; }
