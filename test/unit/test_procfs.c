/*
 * test_procfs.c
 *	  Texts of /proc as different kernels and machines write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collect/procfs.h"

#define MAX_VALUES 256

typedef struct Value
{
	PerfoptOsMetric metric;
	char label[64];
	double value;
} Value;

typedef struct Values
{
	int n;
	Value v[MAX_VALUES];
} Values;

static void
keep(void *arg, PerfoptOsMetric metric, const char *label, double value)
{
	Values *values = arg;
	Value *v = &values->v[values->n++];

	assert_true(values->n <= MAX_VALUES);
	v->metric = metric;
	snprintf(v->label, sizeof(v->label), "%s", label ? label : "");
	v->value = value;
}

static int
count(const Values *values, PerfoptOsMetric metric)
{
	int n = 0;

	for (int i = 0; i < values->n; i++)
		n += values->v[i].metric == metric;
	return n;
}

static const Value *
find(const Values *values, PerfoptOsMetric metric, const char *label)
{
	for (int i = 0; i < values->n; i++)
	{
		if (values->v[i].metric == metric && strcmp(values->v[i].label, label) == 0)
			return &values->v[i];
	}
	return NULL;
}

static void
expect(const Values *values, PerfoptOsMetric metric, const char *label, double value)
{
	const Value *v = find(values, metric, label);

	if (v == NULL)
		fail_msg("metric %d{%s} is missing", metric, label);
	else if (v->value < value - 1e-9 || v->value > value + 1e-9)
		fail_msg("metric %d{%s} is %g, not %g", metric, label, v->value, value);
}

static void
stat_has_modes_and_counts_processors(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_stat("cpu  100 200 300 400 500 600 700 800 900 1000\n"
						"cpu0 50 100 150 200 250 300 350 400 450 500\n"
						"cpu1 50 100 150 200 250 300 350 400 450 500\n"
						"intr 12345 0 0\nctxt 987654321012\nbtime 1700000000\nprocesses 4242\n"
						"procs_running 3\nprocs_blocked 1\nsoftirq 1 2 3\n",
						100, keep, &values);
	expect(&values, PERFOPT_OS_CPU_SECONDS, "user", 1);
	expect(&values, PERFOPT_OS_CPU_SECONDS, "idle", 4);
	expect(&values, PERFOPT_OS_CPU_SECONDS, "iowait", 5);
	expect(&values, PERFOPT_OS_CPU_SECONDS, "steal", 8);
	assert_int_equal(count(&values, PERFOPT_OS_CPU_SECONDS), 8);
	expect(&values, PERFOPT_OS_CPU_COUNT, "", 2);
	expect(&values, PERFOPT_OS_CONTEXT_SWITCHES, "", 987654321012.0);
	expect(&values, PERFOPT_OS_PROCS_RUNNING, "", 3);
	expect(&values, PERFOPT_OS_PROCS_BLOCKED, "", 1);
}

static void
stat_of_an_old_kernel_lacks_steal(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_stat("cpu 1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\n", 100, keep, &values);
	assert_int_equal(count(&values, PERFOPT_OS_CPU_SECONDS), 7);
	assert_null(find(&values, PERFOPT_OS_CPU_SECONDS, "steal"));
	assert_int_equal(count(&values, PERFOPT_OS_CONTEXT_SWITCHES), 0);
}

static void
loadavg(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_loadavg("0.52 1.25 12.00 3/456 7890\n", keep, &values);
	expect(&values, PERFOPT_OS_LOAD1, "", 0.52);
	expect(&values, PERFOPT_OS_LOAD5, "", 1.25);
	expect(&values, PERFOPT_OS_LOAD15, "", 12);
	assert_int_equal(values.n, 3);
}

static void
meminfo_in_bytes_and_by_whole_names(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_meminfo("MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:   8192 kB\n"
						   "SwapCached:        7 kB\nCached:          100 kB\nDirty:   4 kB\n"
						   "CommitLimit:    9999 kB\nCommitted_AS:   5000 kB\n",
						   keep, &values);
	expect(&values, PERFOPT_OS_MEMORY_TOTAL, "", 16384 * 1024.0);
	expect(&values, PERFOPT_OS_MEMORY_AVAILABLE, "", 8192 * 1024.0);
	expect(&values, PERFOPT_OS_MEMORY_CACHED, "", 100 * 1024.0);
	expect(&values, PERFOPT_OS_MEMORY_DIRTY, "", 4 * 1024.0);
	expect(&values, PERFOPT_OS_MEMORY_COMMITTED, "", 5000 * 1024.0);
	assert_int_equal(values.n, 5);
}

static void
meminfo_before_3_14_has_no_available(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_meminfo("MemTotal: 16384 kB\nMemFree: 1 kB\n", keep, &values);
	assert_int_equal(count(&values, PERFOPT_OS_MEMORY_TOTAL), 1);
	assert_int_equal(count(&values, PERFOPT_OS_MEMORY_AVAILABLE), 0);
}

static void
vmstat(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_vmstat(
		"nr_free_pages 1\npswpin 2\npswpout 3\npgfault 99\npgmajfault 4\noom_kill 5\n", keep,
		&values);
	expect(&values, PERFOPT_OS_PSWPIN, "", 2);
	expect(&values, PERFOPT_OS_PSWPOUT, "", 3);
	expect(&values, PERFOPT_OS_PGMAJFAULT, "", 4);
	expect(&values, PERFOPT_OS_OOM_KILL, "", 5);
	assert_int_equal(values.n, 4);
}

static void
disks_without_loops_partitions_and_layers(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_diskstats(
		"   7       0 loop0 5 0 10 1 0 0 0 0 0 1 1 0 0 0 0\n"
		"   1       0 ram0 5 0 10 1 0 0 0 0 0 1 1\n"
		" 252       0 zram0 5 0 10 1 9 0 0 0 0 1 1\n"
		"   8       0 sda 100 1 2000 3000 400 5 6000 7000 0 8000 9000 0 0 0 0 10 20\n"
		"   8       1 sda1 99 1 1999 2999 399 5 5999 6999 0 7999 8999\n"
		"   8      16 sdb 0 0 0 0 0 0 0 0 0 0 0\n"
		" 259       0 nvme0n1 10 0 20 30 40 0 50 60 0 70 80 1 1 1 1\n"
		" 259       1 nvme0n1p1 9 0 19 29 39 0 49 59 0 69 79 1 1 1 1\n"
		" 259       2 nvme0n10 1 0 2 3 4 0 5 6 0 7 8\n"
		" 253       0 dm-0 100 0 2000 3000 400 0 6000 7000 0 8000 9000\n"
		"  11       0 sr0 1 0 2 3 4 0 5 6 0 7 8\n",
		keep, &values);
	expect(&values, PERFOPT_OS_DISK_READS, "sda", 100);
	expect(&values, PERFOPT_OS_DISK_READ_BYTES, "sda", 2000 * 512.0);
	expect(&values, PERFOPT_OS_DISK_READ_TIME, "sda", 3);
	expect(&values, PERFOPT_OS_DISK_WRITES, "sda", 400);
	expect(&values, PERFOPT_OS_DISK_WRITTEN_BYTES, "sda", 6000 * 512.0);
	expect(&values, PERFOPT_OS_DISK_WRITE_TIME, "sda", 7);
	expect(&values, PERFOPT_OS_DISK_IO_TIME, "sda", 8);
	expect(&values, PERFOPT_OS_DISK_IO_WEIGHTED_TIME, "sda", 9);
	expect(&values, PERFOPT_OS_DISK_READS, "nvme0n1", 10);
	expect(&values, PERFOPT_OS_DISK_READS, "nvme0n10", 1);
	assert_int_equal(count(&values, PERFOPT_OS_DISK_READS), 3);
}

static void
a_partition_alone_is_taken(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_diskstats(" 202 1 xvda1 10 0 20 30 40 0 50 60 0 70 80\n", keep, &values);
	expect(&values, PERFOPT_OS_DISK_READS, "xvda1", 10);
}

static void
a_layer_alone_is_taken(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_diskstats(
		" 8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n 253 0 dm-3 10 0 20 30 40 0 50 60 0 70 80\n", keep,
		&values);
	expect(&values, PERFOPT_OS_DISK_READS, "dm-3", 10);
	assert_int_equal(count(&values, PERFOPT_OS_DISK_READS), 1);
}

static void
diskstats_cut_short_gives_nothing_wrong(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_diskstats("   8       0 sda 100 1 2000 3000 400", keep, &values);
	perfopt_procfs_diskstats("   8       0", keep, &values);
	perfopt_procfs_diskstats("", keep, &values);
	assert_int_equal(values.n, 0);
}

static void
network_without_loopback_and_container_links(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_net_dev(
		"Inter-|   Receive                                                |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
		"drop fifo colls carrier compressed\n"
		"    lo: 1 1 1 1 0 0 0 0 1 1 1 1 0 0 0 0\n"
		"  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n"
		"veth12ab: 1 1 1 1 0 0 0 0 1 1 1 1 0 0 0 0\n"
		"docker0: 1 1 1 1 0 0 0 0 1 1 1 1 0 0 0 0\n"
		"enp3s0: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0 77\n",
		keep, &values);
	expect(&values, PERFOPT_OS_NETWORK_RECEIVE_BYTES, "eth0", 1000);
	expect(&values, PERFOPT_OS_NETWORK_RECEIVE_ERRS, "eth0", 1);
	expect(&values, PERFOPT_OS_NETWORK_RECEIVE_DROP, "eth0", 2);
	expect(&values, PERFOPT_OS_NETWORK_TRANSMIT_BYTES, "eth0", 2000);
	expect(&values, PERFOPT_OS_NETWORK_TRANSMIT_ERRS, "eth0", 3);
	expect(&values, PERFOPT_OS_NETWORK_TRANSMIT_DROP, "eth0", 4);
	expect(&values, PERFOPT_OS_NETWORK_TRANSMIT_BYTES, "enp3s0", 6);
	assert_int_equal(count(&values, PERFOPT_OS_NETWORK_RECEIVE_BYTES), 2);
}

static void
tcp_counters_by_the_names_in_the_header(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_net_snmp(
		"Ip: Forwarding DefaultTTL\nIp: 1 64\n"
		"Tcp: RtoAlgorithm MaxConn ActiveOpens RetransSegs InErrs\nTcp: 1 -1 10 42 0\n"
		"Udp: InDatagrams\nUdp: 5\n",
		keep, &values);
	perfopt_procfs_net_snmp("TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 7 8\n"
							"IpExt: InOctets\nIpExt: 5\n",
							keep, &values);
	expect(&values, PERFOPT_OS_TCP_RETRANS_SEGS, "", 42);
	expect(&values, PERFOPT_OS_TCP_LISTEN_OVERFLOWS, "", 7);
	assert_int_equal(values.n, 2);
}

static void
tcp_counters_cut_short(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_net_snmp("Tcp: RtoAlgorithm MaxConn RetransSegs\nTcp: 1 -1", keep, &values);
	perfopt_procfs_net_snmp("Tcp: RetransSegs", keep, &values);
	assert_int_equal(values.n, 0);
}

static void
pressure_in_seconds(void **state)
{
	Values values = { 0 };

	(void) state;
	perfopt_procfs_pressure("some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\n"
							"full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n",
							PERFOPT_OS_PRESSURE_IO, keep, &values);
	perfopt_procfs_pressure("full avg10=0.00 total=99\n", PERFOPT_OS_PRESSURE_CPU, keep, &values);
	expect(&values, PERFOPT_OS_PRESSURE_IO, "", 2.5);
	assert_int_equal(values.n, 1);
}

static void
the_longest_mount_point_wins(void **state)
{
	static const char *const text = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
									"22 21 0:5 / /proc rw - proc proc rw\n"
									"23 21 8:2 / /var/lib rw shared:1 - ext4 /dev/sda2 rw\n"
									"24 23 8:3 / /var/lib/postgresql rw - xfs /dev/sdb rw\n"
									"25 21 8:4 / /mnt/my\\040disk rw - xfs /dev/sdc rw\n";
	char mount[256] = "untouched";

	(void) state;
	assert_true(perfopt_procfs_mount_of(text, "/var/lib/postgresql/15/main", mount, sizeof(mount)));
	assert_string_equal(mount, "/var/lib/postgresql");
	assert_true(perfopt_procfs_mount_of(text, "/var/lib/postgresql2", mount, sizeof(mount)));
	assert_string_equal(mount, "/var/lib");
	assert_true(perfopt_procfs_mount_of(text, "/home/x", mount, sizeof(mount)));
	assert_string_equal(mount, "/");
	assert_true(perfopt_procfs_mount_of(text, "/mnt/my disk/pg", mount, sizeof(mount)));
	assert_string_equal(mount, "/mnt/my disk");
	strcpy(mount, "untouched");
	assert_false(perfopt_procfs_mount_of("22 21 0:5 / /proc rw - proc proc rw\n", "/var", mount,
										 sizeof(mount)));
	assert_false(perfopt_procfs_mount_of("garbage\n\n22\n", "/var", mount, sizeof(mount)));
	assert_string_equal(mount, "untouched");
}

static char *
slurp(const char *path, char *buffer, size_t capacity)
{
	FILE *file = fopen(path, "r");
	size_t n;

	if (file == NULL)
		return NULL;
	n = fread(buffer, 1, capacity - 1, file);
	fclose(file);
	buffer[n] = '\0';
	return buffer;
}

/* The machine that runs the test is one more sample; a container may lack some of the files. */
static void
this_machine(void **state)
{
	static char buffer[1 << 20];
	Values values = { 0 };

	(void) state;
	if (!slurp("/proc/stat", buffer, sizeof(buffer)))
		skip();
	perfopt_procfs_stat(buffer, 100, keep, &values);
	assert_true(count(&values, PERFOPT_OS_CPU_SECONDS) >= 7);
	assert_non_null(slurp("/proc/meminfo", buffer, sizeof(buffer)));
	perfopt_procfs_meminfo(buffer, keep, &values);
	assert_non_null(find(&values, PERFOPT_OS_MEMORY_TOTAL, ""));
	assert_true(find(&values, PERFOPT_OS_MEMORY_TOTAL, "")->value > 1 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_has_modes_and_counts_processors),
		cmocka_unit_test(stat_of_an_old_kernel_lacks_steal),
		cmocka_unit_test(loadavg),
		cmocka_unit_test(meminfo_in_bytes_and_by_whole_names),
		cmocka_unit_test(meminfo_before_3_14_has_no_available),
		cmocka_unit_test(vmstat),
		cmocka_unit_test(disks_without_loops_partitions_and_layers),
		cmocka_unit_test(a_partition_alone_is_taken),
		cmocka_unit_test(a_layer_alone_is_taken),
		cmocka_unit_test(diskstats_cut_short_gives_nothing_wrong),
		cmocka_unit_test(network_without_loopback_and_container_links),
		cmocka_unit_test(tcp_counters_by_the_names_in_the_header),
		cmocka_unit_test(tcp_counters_cut_short),
		cmocka_unit_test(pressure_in_seconds),
		cmocka_unit_test(the_longest_mount_point_wins),
		cmocka_unit_test(this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
