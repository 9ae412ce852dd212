-- The extension for all tests that follow, and the settings that it brings.
CREATE EXTENSION perfopt;
SELECT name, boot_val, unit, vartype, context, min_val, max_val
FROM pg_settings WHERE name LIKE 'perfopt.%' AND name <> 'perfopt.database' ORDER BY name COLLATE "C";
