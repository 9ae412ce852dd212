# perfopt: a PGXS extension. `make && make install && make installcheck` as with any other;
# the targets at the end are for those who build it.

EXTENSION = perfopt
EXTVERSION = 0.1
MODULE_big = perfopt

# Every C file below src is part of the library, but for those of the gateway, a program of its own
# that PGXS installs beside the server's programs.
OBJS = $(patsubst %.c,%.o,$(filter-out src/gateway/%,$(sort $(wildcard src/*.c src/*/*.c))))
GATEWAY_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/gateway/*.c))) build/assets.o
GATEWAY_ASSETS = $(sort $(wildcard src/gateway/dashboard/*.js src/gateway/dashboard/*.css src/gateway/dashboard/*.html))
SCRIPTS_built = perfopt-gateway

HEADERS_perfopt =

# The install script is these pieces in this order: a piece may use what stands before it.
SQL_PIECES = $(wildcard \
	src/schema.sql \
	src/target/target.sql \
	src/store/store.sql \
	src/sampler/sampler.sql \
	src/collect/collect.sql \
	src/collect/custom.sql \
	src/load/histogram.sql \
	src/load/scenario.sql \
	src/load/import.sql \
	src/load/from_statements.sql \
	src/sampler/active_sessions.sql \
	src/load/dataset.sql \
	src/load/scenario_integration.sql \
	src/load/load.sql \
	src/load/kinds.sql \
	src/load/beside.sql \
	src/load/compare.sql \
	src/trend/trend.sql \
	src/trend/capacity.sql \
	src/alert/threshold.sql \
	src/alert/alert.sql \
	src/alert/threshold_default.sql \
	src/alert/delivery.sql \
	src/diagnose/diagnose.sql \
	src/advise/advise.sql \
	src/advise/track.sql \
	src/advise/plan.sql \
	src/advise/cost.sql \
	src/advise/impact.sql \
	src/advise/prove.sql \
	src/advise/schedule.sql \
	src/alert/health.sql \
	src/privileges.sql)

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = $(EXTENSION)--$(EXTVERSION).sql $(GATEWAY_OBJS) build

# Every test that is there is run: sql/init.sql first, which creates the extension for the others.
REGRESS = $(patsubst $(srcdir)/sql/%.sql,%,$(wildcard $(srcdir)/sql/init.sql) $(filter-out $(srcdir)/sql/init.sql,$(sort $(wildcard $(srcdir)/sql/*.sql))))
REGRESS_OPTS = --inputdir=$(srcdir)

# These need workers that look after the database isolation_regression, so script/check asks for
# them, and `make installcheck` runs on any server.
ifeq ($(with_isolation),yes)
ISOLATION = $(patsubst $(srcdir)/test/isolation/specs/%.spec,%,$(sort $(wildcard $(srcdir)/test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation --outputdir=output_iso
endif
EXTRA_CLEAN += output_iso tmp_check_iso

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir) -DPERFOPT_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
srcdir = .

# What the library and the gateway are linked with besides libpq, as pkg-config calls it; and how
# Debian packages it.
LIBRARIES = hiredis libcares libcurl openssl
GATEWAY_LIBRARIES = libmicrohttpd zlib
package_of_hiredis = libhiredis-dev
package_of_libcares = libc-ares-dev
package_of_libcurl = libcurl4-openssl-dev
package_of_openssl = libssl-dev
package_of_libmicrohttpd = libmicrohttpd-dev
package_of_zlib = zlib1g-dev

# For those who build perfopt. These find or install what they need, so they are not held up by
# what PGXS wants; `check` would also clash with PGXS's own, which only says that it has none.
SCRIPT_GOALS = demo check check-bare check-versions lint format asan fuzz coverage bench bench-trend lab
ifneq ($(MAKECMDGOALS),)
ifeq ($(filter-out $(SCRIPT_GOALS) unit,$(MAKECMDGOALS)),)
only_scripts = yes
endif
endif

.DEFAULT_GOAL := all
.PHONY: $(SCRIPT_GOALS) unit
unit:
	@$(MAKE) --no-print-directory -C test/unit

ifeq ($(only_scripts),yes)
$(SCRIPT_GOALS):
	@script/$@
else

PG_CONFIG ?= pg_config
ifeq ($(shell command -v $(PG_CONFIG) 2>/dev/null),)
$(error pg_config not found. Install the server's development files (Debian, Ubuntu: apt-get install postgresql-server-dev-all; or run script/deps), or say where it is: make PG_CONFIG=/path/to/pg_config)
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) works but $(PGXS) is missing. Install the server's development files (Debian, Ubuntu: apt-get install postgresql-server-dev-$(shell $(PG_CONFIG) --version | sed 's/[^0-9]*\([0-9]*\).*/\1/); or run script/deps))
endif
PKG_CONFIG ?= pkg-config
ifeq ($(shell command -v $(PKG_CONFIG) 2>/dev/null),)
SHLIB_LINK = $(libpq) -lhiredis -lcares -lcurl -lssl -lcrypto -lm
GATEWAY_LINK = $(libpq) -lmicrohttpd -lz -pthread
else
ifeq ($(filter clean distclean,$(MAKECMDGOALS)),)
$(foreach library,$(LIBRARIES) $(GATEWAY_LIBRARIES),$(if $(shell $(PKG_CONFIG) --exists $(library) && echo yes),,$(error $(library) and its headers not found. Install them (Debian, Ubuntu: apt-get install $(package_of_$(library)); or run script/deps), or tell pkg-config where they are: PKG_CONFIG_PATH=/path/to/pkgconfig make)))
endif
# hiredis would give its own folder and a definition; the code includes <hiredis/...>.
PG_CPPFLAGS += $(filter-out %/hiredis -D%,$(shell $(PKG_CONFIG) --cflags $(LIBRARIES)))
SHLIB_LINK = $(libpq) $(shell $(PKG_CONFIG) --libs $(LIBRARIES)) -lm
GATEWAY_LINK = $(libpq) $(shell $(PKG_CONFIG) --libs $(GATEWAY_LIBRARIES)) -pthread
endif
include $(PGXS)

$(OBJS) $(GATEWAY_OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

perfopt-gateway: $(GATEWAY_OBJS)
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDFLAGS_EX) $(GATEWAY_LINK) -o $@

build/assets.c: $(GATEWAY_ASSETS) src/gateway/dashboard/embed
	@mkdir -p build
	src/gateway/dashboard/embed src/gateway/dashboard > $@.tmp
	@mv $@.tmp $@

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PIECES) Makefile
	@for piece in $(SQL_PIECES); do printf '\n-- %s\n\n' "$$piece"; cat "$$piece"; done > $@.tmp
	@mv $@.tmp $@

endif
