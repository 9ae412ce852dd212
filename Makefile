# perfopt: a PGXS extension. `make && make install && make installcheck` as with any other;
# the targets at the end are for those who build it.

EXTENSION = perfopt
EXTVERSION = 0.1
MODULE_big = perfopt

# One line a room. The rooms are described in docs/.
OBJS = \
	src/perfopt.o src/guc.o src/shmem.o \
	src/target/target.o src/target/option.o \
	src/worker/worker.o src/worker/ddl.o \
	src/sampler/sampler.o src/sampler/hooks.o

HEADERS_perfopt =

# The install script is these pieces in this order: a piece may use what stands before it.
SQL_PIECES = \
	src/schema.sql \
	src/target/target.sql

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = $(EXTENSION)--$(EXTVERSION).sql build

REGRESS =
REGRESS_OPTS = --inputdir=.

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir)
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SHLIB_LINK = $(libpq) -lhiredis -lm
srcdir = .

PG_CONFIG ?= pg_config
ifeq ($(shell command -v $(PG_CONFIG) 2>/dev/null),)
$(error pg_config not found. Install the server's development files (Debian, Ubuntu: apt-get install postgresql-server-dev-all; or run script/deps), or say where it is: make PG_CONFIG=/path/to/pg_config)
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) works but $(PGXS) is missing. Install the server's development files (Debian, Ubuntu: apt-get install postgresql-server-dev-$(shell $(PG_CONFIG) --version | sed 's/[^0-9]*\([0-9]*\).*/\1/); or run script/deps))
endif
include $(PGXS)

$(OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PIECES) Makefile
	@for piece in $(SQL_PIECES); do printf '\n-- %s\n\n' "$$piece"; cat "$$piece"; done > $@.tmp
	@mv $@.tmp $@
