# shellcheck shell=bash disable=SC2034,SC2154
# An application that asks for each of 500 rows by itself.
expect=n_plus_one category=database strength=strong
entity='shop\.item'
beside='top_statement|cpu_saturation'
plant()
{
	local i

	{
		echo 'BEGIN;'
		for ((i = 0; i < 500; i++)); do printf '\\set i random(1, 1000)\nSELECT price FROM shop.item WHERE item_id = :i;\n'; done
		echo 'END;'
	} | client 1 -M prepared
}
remove() { :; }
