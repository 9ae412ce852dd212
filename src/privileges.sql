-- The first days' partitions, once every partitioned table is there.
SELECT perfopt.maintain_now();
