/*
 * user.c
 *	  Simulated users: when each begins an iteration, of which operation, and when it leaves.
 */
#include "postgres.h"

#include "load/engine.h"

/* Times after the clock's start between which a user is there. */
static void
set_presence(const LoadConfig *config, User *user, const PerfoptRandom *random)
{
	double fraction = (user->number + 0.5) / config->users;
	int64 hold_end = load_window_start_ns(config) + load_window_ns(config);

	user->start_at = 0;
	user->stop_at = hold_end + config->ramp_down_ns;
	if (config->rate > 0 || config->kind == LOAD_KIND_STRESS)
		return;
	if (config->kind == LOAD_KIND_SPIKE)
	{
		int base = config->users - config->spike_users;

		if (user->number >= base)
		{
			user->start_at = load_window_start_ns(config) + config->duration_ns;
			user->stop_at = user->start_at + config->spike_ns;
			return;
		}
		fraction = (user->number + 0.5) / base;
	}

	/*
	 * User g of all starts at T (g + 1/2) / N of the ramp: the inverse of the straight line from 0 to N.
	 * Ramping down, those who came last leave first.
	 */
	user->start_at = (int64) (config->ramp_up_ns * fraction);
	user->stop_at = hold_end + (int64) (config->ramp_down_ns * (1 - fraction));

	/* Or all users would think, and call, in step. */
	user->start_at +=
		(int64) (load_pause_draw(&config->think, random) * perfopt_draw_double(random));
}

void
load_users_init(Engine *engine)
{
	const LoadConfig *config = engine->config;
	int nworkers = engine->shared->nworkers;

	/* Users are dealt out like cards, so that ramps rise in all workers alike. */
	engine->nusers = (config->users - engine->worker + nworkers - 1) / nworkers;
	engine->nlive = engine->nusers;
	engine->users = palloc0(sizeof(User) * engine->nusers);
	engine->waiting_end = &engine->waiting;
	for (int i = 0; i < engine->nusers; i++)
	{
		User *user = &engine->users[i];
		PerfoptRandom random = load_random(&user->random);

		user->number = i * nworkers + engine->worker;
		user->follows = -1;
		user->timer.heap_at = -1;
		user->timer.user = user;
		perfopt_xoroshiro_seed(&user->random, config->seed ^ (UINT64CONST(0x9E3779B97F4A7C15) *
															  (uint64) (user->number + 1)));
		set_presence(config, user, &random);
		if (!engine->pool)
		{
			for (int v = 0; v < config->nvariants; v++)
			{
				user->own[v] = &engine->sessions[i * config->nvariants + v];
				user->own[v]->user = user;
			}
			user->session = user->own[0];
		}
	}
}

static bool
is_time_to_stop(const Engine *engine, const User *user, int64 now)
{
	return engine->stopping || now >= engine->clock + user->stop_at;
}

void
load_user_stop(Engine *engine, User *user)
{
	if (user->stopped)
		return;
	user->stopped = true;
	engine->nlive--;
	if (user->started && !user->parked)
		engine->mine->users--;
	load_timer_clear(engine, &user->timer);
	for (int v = 0; v < engine->config->nvariants && !engine->pool; v++)
		load_session_close(engine, user->own[v]);
}

static int
choose_operation(Engine *engine, User *user)
{
	PerfoptRandom random = load_random(&user->random);
	int last = engine->config->noperations - 1;
	double draw = perfopt_draw_double(&random) * engine->weights[last];
	int operation = 0;

	while (operation < last && draw >= engine->weights[operation])
		operation++;
	return operation;
}

/* What the user does next in this visit; -1 when it is over. */
static int
choose_follower(Engine *engine, User *user, const LoadOperation *operation)
{
	PerfoptRandom random = load_random(&user->random);
	double draw;

	if (operation->next == NULL)
		return -1;
	draw = perfopt_draw_double(&random);
	for (int i = 0; i < engine->config->noperations; i++)
		if (draw < operation->next[i])
			return i;
	return -1;
}

static void
start_iteration(Engine *engine, User *user, Session *session, int64 now)
{
	session->user = user;
	user->session = session;
	user->waiting = false;
	load_iteration_begin(engine, session,
						 user->follows >= 0 ? user->follows : choose_operation(engine, user), now);
}

/* As soon as there is a session for it. */
static void
begin(Engine *engine, User *user, int64 intended, int64 now)
{
	Session *session = engine->pool ? engine->free_sessions : user->session;

	if (engine->config->kind == LOAD_KIND_AB)
		session = user->session = user->own[load_slot_take(engine, now)];
	user->intended = intended;
	if (session != NULL && session->state == SESSION_IDLE)
	{
		if (engine->pool)
			engine->free_sessions = session->next;
		start_iteration(engine, user, session, now);
		return;
	}
	user->waiting = true;
	if (engine->pool)
	{
		user->next = NULL;
		*engine->waiting_end = user;
		engine->waiting_end = &user->next;
	}
}

static User *
next_waiting(Engine *engine)
{
	User *user;

	do
	{
		user = engine->waiting;
		if (user == NULL)
			return NULL;
		engine->waiting = user->next;
		if (engine->waiting == NULL)
			engine->waiting_end = &engine->waiting;
	} while (user->stopped);
	return user;
}

/* Timers go off late when the loop is busy: that is the generator's fault, not the target's. */
static void
note_lag(Engine *engine, int64 due, int64 now)
{
	perfopt_histogram_record(load_run_lag(engine->shared, engine->worker),
							 Max(0, now - due) / (double) LOAD_NS_PER_MS);
}

static void
next_arrival(Engine *engine)
{
	PerfoptRandom random = load_random(&engine->arrival_random);
	int64 at;

	engine->arrival = perfopt_arrivals_next(&engine->arrivals, &random, &at) ? at : PG_INT64_MAX;
}

/* Waits for the next arrival only while somebody can take it: who comes back looks for himself. */
static void
set_arrival_timer(Engine *engine)
{
	if (engine->idle == NULL || engine->arrival == PG_INT64_MAX)
		load_timer_clear(engine, &engine->arrival_timer);
	else
		load_timer_set(engine, &engine->arrival_timer, engine->clock + engine->arrival);
}

static void
take_arrival(Engine *engine, User *user, int64 now)
{
	int64 intended = engine->clock + engine->arrival;

	if (engine->arrival >= engine->level.from)
		engine->mine->begun++;
	next_arrival(engine);
	begin(engine, user, intended, now);
}

/* Ready for the next call that arrives, which may have been waiting. */
static void
become_idle(Engine *engine, User *user, int64 now)
{
	if (engine->arrival != PG_INT64_MAX && engine->clock + engine->arrival <= now)
	{
		take_arrival(engine, user, now);
		return;
	}
	user->next = engine->idle;
	engine->idle = user;
	set_arrival_timer(engine);
}

void
load_arrivals_due(Engine *engine)
{
	load_timer_clear(engine, &engine->arrival_timer);
	while (engine->idle != NULL && engine->arrival != PG_INT64_MAX &&
		   engine->clock + engine->arrival <= engine->now)
	{
		User *user = engine->idle;

		engine->idle = user->next;
		if (user->stopped)
			continue;

		/* Its connection is gone; it is idle again when that is back. */
		if (user->session->state != SESSION_IDLE)
		{
			user->offline = true;
			continue;
		}
		note_lag(engine, engine->clock + engine->arrival, engine->now);
		take_arrival(engine, user, engine->now);
	}
	set_arrival_timer(engine);
}

static bool
is_above_level(const Engine *engine, const User *user)
{
	return !engine->open && user->number >= engine->level.load;
}

static void
park(Engine *engine, User *user)
{
	user->parked = true;
	if (user->started)
		engine->mine->users--;
}

/* The time has come: to join, or to go on after thinking. */
void
load_user_due(Engine *engine, User *user)
{
	int64 due = user->timer.due;

	load_timer_clear(engine, &user->timer);
	if (is_time_to_stop(engine, user, engine->now))
	{
		load_user_stop(engine, user);
		return;
	}
	if (!user->started)
	{
		user->started = true;
		engine->mine->users++;
	}
	if (is_above_level(engine, user))
		park(engine, user);
	else if (engine->open && user->follows < 0)
		become_idle(engine, user, engine->now);
	else
	{
		note_lag(engine, due, engine->now);
		begin(engine, user, due, engine->now);
	}
}

/* Until then, but no longer than the user is there. */
static void
sleep_until(Engine *engine, User *user, int64 due)
{
	load_timer_set(engine, &user->timer, Min(due, engine->clock + user->stop_at));
}

void
load_users_start(Engine *engine)
{
	const LoadConfig *config = engine->config;

	if (engine->open)
	{
		PerfoptArrivalsPlan plan = { .kind = config->even ? PERFOPT_ARRIVALS_EVEN
														  : PERFOPT_ARRIVALS_POISSON,
									 .rate = engine->level.load,
									 .ramp_up_ns = config->ramp_up_ns,
									 .hold_ns = config->warm_up_ns + load_window_ns(config),
									 .ramp_down_ns = config->ramp_down_ns,
									 .worker = engine->worker,
									 .nworkers = engine->shared->nworkers };

		perfopt_xoroshiro_seed(&engine->arrival_random, config->seed + (uint64) engine->worker);
		perfopt_arrivals_init(&engine->arrivals, &plan);
		next_arrival(engine);
	}
	for (int i = 0; engine->pool && i < engine->nsessions; i++)
		if (engine->sessions[i].state == SESSION_IDLE)
			load_session_free(engine, &engine->sessions[i]);
	for (int i = 0; i < engine->nusers; i++)
		sleep_until(engine, &engine->users[i],
					Max(engine->now, engine->clock + engine->users[i].start_at));
}

void
load_users_level(Engine *engine)
{
	if (engine->open)
	{
		/* What has arrived before and not begun was counted by who set the level. */
		perfopt_arrivals_restart(&engine->arrivals, engine->level.from, engine->level.load);
		engine->mine->begun = 0;

		/* What a former load left waiting is none of this one's. */
		if (engine->arrival >= engine->level.from)
			next_arrival(engine);
		while (engine->arrival < engine->now - engine->clock)
			next_arrival(engine);
		set_arrival_timer(engine);
		return;
	}
	for (int i = 0; i < engine->nusers; i++)
	{
		User *user = &engine->users[i];
		PerfoptRandom random = load_random(&user->random);

		if (!user->parked || user->stopped || is_above_level(engine, user))
			continue;
		user->parked = false;
		engine->mine->users++;
		sleep_until(engine, user,
					engine->now + (int64) (load_pause_draw(&engine->config->think, &random) *
										   perfopt_draw_double(&random)));
	}
}

/* What a user does after an iteration that ended with its connection in order, or without it. */
static void
go_on(Engine *engine, User *user, const LoadOperation *operation, int64 now)
{
	const LoadPause *pause = operation->pauses ? &operation->think : &engine->config->think;
	PerfoptRandom random = load_random(&user->random);
	int64 length;

	user->follows = choose_follower(engine, user, operation);
	if (is_time_to_stop(engine, user, now))
		load_user_stop(engine, user);
	else if (is_above_level(engine, user))
		park(engine, user);
	else if (engine->open && user->follows < 0)
		become_idle(engine, user, now);
	else if ((length = load_pause_draw(pause, &random)) > 0)
		sleep_until(engine, user, now + length);
	else
		begin(engine, user, now, now);
}

void
load_user_done(Engine *engine, Session *session, int64 now)
{
	const LoadOperation *operation = &engine->config->operations[session->operation];
	User *user = session->user;

	/* Those who wait come first. */
	if (engine->pool)
	{
		user->session = NULL;
		session->user = NULL;
		if (session->state == SESSION_IDLE)
			load_session_free(engine, session);
	}
	go_on(engine, user, operation, now);
}

void
load_session_free(Engine *engine, Session *session)
{
	User *user = engine->pool ? next_waiting(engine) : session->user;

	if (engine->clock == 0 || (!engine->pool && user->session != session))
		return;
	if (engine->pool && user == NULL)
	{
		session->next = engine->free_sessions;
		engine->free_sessions = session;
	}
	else if (engine->pool)
		start_iteration(engine, user, session, engine->now);
	else if (user->offline)
	{
		user->offline = false;
		become_idle(engine, user, engine->now);
	}
	else if (user->waiting)
	{
		/* While it could not work it did not; a call that arrived is another matter. */
		if (!engine->open)
			user->intended = engine->now;
		start_iteration(engine, user, session, engine->now);
	}
}

void
load_session_taken(Engine *engine, Session *session)
{
	Session **link = &engine->free_sessions;

	while (*link != NULL && *link != session)
		link = &(*link)->next;
	if (*link != NULL)
		*link = session->next;
}

/* Those that are drawn from here on, without drawing them. */
uint64
load_arrivals_backlog(const Engine *engine, int64 until)
{
	PerfoptArrivals arrivals = engine->arrivals;
	PerfoptXoroshiro generator = engine->arrival_random;
	PerfoptRandom random = load_random(&generator);
	int64 at = engine->arrival;
	uint64 n = 0;

	while (at != PG_INT64_MAX && engine->clock + at <= until)
	{
		n++;
		if (!perfopt_arrivals_next(&arrivals, &random, &at))
			break;
	}
	return n;
}
