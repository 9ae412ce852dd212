# shellcheck shell=bash disable=SC2034,SC2154
# A system whose last change came three hours ago.
expect=sync_lag category=external strength=strong
entity='silent'
beside=''
plant()
{
	ask "INSERT INTO integration.external_system (name, kind, base_url, status) VALUES ('silent', 'crm', 'https://silent.example', 'active')" \
		-c "INSERT INTO integration.sync_job (system_id, direction, status) SELECT system_id, 'in', 'done' FROM integration.external_system WHERE name = 'silent'" \
		-c "INSERT INTO integration.sync_change (job_id, entity_id, operation, created_at)
			SELECT job_id, 1, 'update', now() - interval '3 hours' FROM integration.sync_job ORDER BY job_id DESC LIMIT 1"
}
remove() { sync_all; }
