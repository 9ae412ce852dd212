/*
 * test_cgroup.c
 *	  Control groups as version 1, version 2, both, containers and systemd show them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collect/cgroup.h"

static const char v1_mounts[] =
	"30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
	"31 30 0:28 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
	"32 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	"34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	"40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
static const char v2_mounts[] =
	"25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	"30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

static void
expect_group(const char *cgroups, const char *mounts, const char *controller, int version,
			 const char *path)
{
	PerfoptCgroup group;

	assert_true(perfopt_cgroup_find(cgroups, mounts, controller, &group));
	assert_int_equal(group.version, version);
	assert_string_equal(group.path, path);
}

static void
version_1_has_a_path_for_each_controller(void **state)
{
	static const char text[] = "9:cpuset:/\n4:memory:/pg/main\n2:cpu,cpuacct:/system.slice\n"
							   "1:name=systemd:/system.slice/x.service\n0::/other\n";

	(void) state;
	expect_group(text, v1_mounts, "memory", 1, "/sys/fs/cgroup/memory/pg/main");
	expect_group(text, v1_mounts, "cpu", 1, "/sys/fs/cgroup/cpu,cpuacct/system.slice");
	expect_group("4:memory:/\n", v1_mounts, "memory", 1, "/sys/fs/cgroup/memory");
}

static void
version_2_has_one_for_all(void **state)
{
	static const char text[] =
		"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n";
	PerfoptCgroup group;

	(void) state;
	expect_group(text, v2_mounts, "memory", 2,
				 "/sys/fs/cgroup/system.slice/system-postgresql.slice/postgresql@15-main.service");
	assert_true(perfopt_cgroup_find(text, v2_mounts, "cpu", &group));
	assert_true(perfopt_cgroup_parent(&group));
	assert_string_equal(group.path, "/sys/fs/cgroup/system.slice/system-postgresql.slice");
	assert_true(perfopt_cgroup_parent(&group));
	assert_true(perfopt_cgroup_parent(&group));
	assert_string_equal(group.path, "/sys/fs/cgroup");
	assert_false(perfopt_cgroup_parent(&group));
	assert_string_equal(group.path, "/sys/fs/cgroup");
}

static void
with_both_the_controller_decides(void **state)
{
	static const char text[] = "4:memory:/old\n0::/new\n";

	(void) state;
	expect_group(text, v1_mounts, "memory", 1, "/sys/fs/cgroup/memory/old");
	expect_group(text, v1_mounts, "cpu", 2, "/sys/fs/cgroup/unified/new");
}

static void
containers_see_their_group_as_the_top(void **state)
{
	static const char docker[] =
		"34 30 0:31 /docker/4f2a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

	(void) state;
	expect_group("4:memory:/docker/4f2a\n", docker, "memory", 1, "/sys/fs/cgroup/memory");
	expect_group("4:memory:/docker/4f2a/pg\n", docker, "memory", 1, "/sys/fs/cgroup/memory/pg");
	expect_group("4:memory:/docker/4f2abc\n", docker, "memory", 1, "/sys/fs/cgroup/memory");
	expect_group("0::/\n", v2_mounts, "memory", 2, "/sys/fs/cgroup");
	expect_group("0::/../other.service\n", v2_mounts, "memory", 2, "/sys/fs/cgroup");
}

static void
what_is_not_there_or_does_not_fit_is_not_found(void **state)
{
	static const char *const texts[] = {
		"", "\n", "garbage", "0:", "0::", "0::relative\n", "4:memory", "4:memory2:/x\n", ":::\n"
	};
	char longest[2 * PERFOPT_CGROUP_PATH];
	PerfoptCgroup group;

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(perfopt_cgroup_find(texts[i], v1_mounts, "memory", &group));
	assert_false(perfopt_cgroup_find("4:memory:/x\n", v2_mounts, "memory", &group));
	assert_false(perfopt_cgroup_find("0::/x\n", "", "memory", &group));
	assert_false(perfopt_cgroup_find("0::/x\n", "30 22 0:26 / /sys/fs\n - \n", "memory", &group));
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "0::/", 4);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(perfopt_cgroup_find(longest, v2_mounts, "memory", &group));
}

static void
limits(void **state)
{
	double value = -1;

	(void) state;
	assert_false(perfopt_cgroup_bytes_limit("max\n", &value));
	assert_false(perfopt_cgroup_bytes_limit("9223372036854771712\n", &value));
	assert_false(perfopt_cgroup_bytes_limit("", &value));
	assert_false(perfopt_cgroup_bytes_limit("12x\n", &value));
	assert_true(value == -1);
	assert_true(perfopt_cgroup_bytes_limit("1073741824\n", &value));
	assert_true(value == 1073741824.0);
	assert_false(perfopt_cgroup_cpu_max("max 100000\n", &value));
	assert_false(perfopt_cgroup_cpu_max("150000\n", &value));
	assert_false(perfopt_cgroup_cpu_max("150000 0\n", &value));
	assert_true(perfopt_cgroup_cpu_max("150000 100000\n", &value));
	assert_true(value == 1.5);
	assert_false(perfopt_cgroup_cpu_quota("-1\n", "100000\n", &value));
	assert_true(perfopt_cgroup_cpu_quota("50000\n", "100000\n", &value));
	assert_true(value == 0.5);
}

static void
named_values_by_whole_names(void **state)
{
	static const char text[] = "nr_periods 7\nnr_throttled 3\nthrottled_time 2500000000\n";
	double value = -1;

	(void) state;
	assert_true(perfopt_cgroup_value(text, "nr_throttled", &value));
	assert_true(value == 3);
	assert_false(perfopt_cgroup_value(text, "nr_", &value));
	assert_false(perfopt_cgroup_value(text, "throttled_usec", &value));
	assert_false(perfopt_cgroup_value("oom_kill", "oom_kill", &value));
	assert_true(perfopt_cgroup_value("oom 1\noom_kill 2\n", "oom_kill", &value));
	assert_true(value == 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_has_a_path_for_each_controller),
		cmocka_unit_test(version_2_has_one_for_all),
		cmocka_unit_test(with_both_the_controller_decides),
		cmocka_unit_test(containers_see_their_group_as_the_top),
		cmocka_unit_test(what_is_not_there_or_does_not_fit_is_not_found),
		cmocka_unit_test(limits),
		cmocka_unit_test(named_values_by_whole_names),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
