/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The dashboard of the HTTP protocol and the way to it: a queue of one that is taken as it is
 * answered, a token that is handed out once, reports that are not named. It knows what it was told
 * and compares it with what really happened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/terms.h"
#include "tests/sim/sim.h"

#define LATENCY_NS     (100 * NS_PER_MS)
#define SILENCE_NS     (10 * NS_PER_S) /* the worker's own limits: connect, or no byte */
#define REPORTS_KEPT   21
#define LOCKED_OUT_MAX 30

struct flight {
	struct sim_request request;
	struct sim_reply reply;
	bool is_lost, is_acting, is_second;
};

struct sim_dashboard {
	uint64_t ticket;
	bool is_strict; /* refuses the shared token of a host that has its own */
	uint64_t token; /* the newest that was handed out; 0: none */
	uint32_t locked_out;
	uint64_t registrations;
	uint64_t last_told; /* the ticket of the last outcome */
	bool is_out_of_order;
	char queued[32];
	uint64_t queued_ticket;
	uint64_t reports[REPORTS_KEPT]; /* times of the last ones */
	uint32_t report_next;
};

struct sim_dashboard *dashboard_create(void)
{
	struct sim_dashboard *dashboard = calloc(1, sizeof(*dashboard));
	check(dashboard != NULL);
	return dashboard;
}

bool dashboard_is_quiet(const struct sim *sim)
{
	if (sim->is_websocket)
		return session_is_quiet(sim);
	return sim->dashboard->queued_ticket == 0;
}

void dashboard_queue(struct sim *sim, const char *command)
{
	struct sim_dashboard *dashboard = sim->dashboard;
	sim->counts.commands++;
	dashboard->queued_ticket = ++dashboard->ticket;
	snprintf(dashboard->queued, sizeof(dashboard->queued), "%s", command);
}

bool dashboard_is_in_order(const struct sim *sim)
{
	return !sim->dashboard->is_out_of_order;
}

uint64_t dashboard_registrations(const struct sim *sim)
{
	return sim->dashboard->registrations;
}

/* What people press. */
static void on_command(struct sim *sim, struct sim_timer *timer)
{
	static const char *const names[] = {"pull", "switch", "pull-switch", "test", "update",
		"restart", "dance", "pull", "switch", "test"};
	if (sim->is_calm)
		return;
	dashboard_queue(sim, names[sim_random(sim, sizeof(names) / sizeof(names[0]))]);
	sim_after(sim, sim_random(sim, 200 * NS_PER_S), *timer);
}

void dashboard_begin(struct sim *sim)
{
	sim->dashboard->is_strict = sim_random(sim, 2) == 0;
	if (sim->is_websocket)
		session_begin(sim);
	else
		sim_after(sim, NS_PER_S, (struct sim_timer){.fire = on_command});
}

/* ---- what it does with a request ---- */

static void check_outcome(struct sim *sim, const struct file *file, uint64_t outcome, int64_t code)
{
	const struct truth *truth = &file->truth;
	bool is_true = false;
	switch ((enum outcome)outcome) {
	case OUTCOME_EXITED:
	case OUTCOME_SIGNALED:
	case OUTCOME_TIMED_OUT:
		is_true = truth->has_result && truth->outcome == outcome && truth->code == code;
		break;
	case OUTCOME_CANCELLED: is_true = truth->was_cancelled || truth->executions == 0; break;
	case OUTCOME_REFUSED: is_true = truth->executions == 0; break;
	case OUTCOME_INTERRUPTED:
	case OUTCOME_LOST: is_true = truth->was_killed || truth->is_refused; break;
	case OUTCOME_NONE: break;
	}
	sim_check(sim, is_true, "%s is told as %s %d, which is not true", file->name,
		outcome_name(outcome), (int)code);
}

static void count_report(struct sim *sim)
{
	struct sim_dashboard *dashboard = sim->dashboard;
	uint64_t oldest = dashboard->reports[dashboard->report_next];
	dashboard->reports[dashboard->report_next] = sim->now;
	dashboard->report_next = (dashboard->report_next + 1) % REPORTS_KEPT;
	sim->counts.reports++;
	/* One more than 20: the window slides with the worker's clock, latency apart. A new worker
	 * knows nothing of what the last one sent. */
	if (oldest > 0 && sim->now - oldest < 50 * NS_PER_S)
		sim->counts.fast_reports++;
}

void dashboard_takes(
	struct sim *sim, struct file *file, uint64_t outcome, int64_t code, bool is_spare)
{
	struct truth *truth = &file->truth;
	sim_check(sim, truth->is_accepted, "%s is told and was never safe", file->name);
	sim_check(sim, truth->ticket != 0, "%s is told and was not the dashboard's", file->name);
	check_outcome(sim, file, outcome, code);
	sim_check(sim,
		truth->deliveries == 0 ||
			(truth->told_outcome == outcome && truth->told_code == code),
		"%s is told in two ways", file->name);
	truth->told_outcome = outcome;
	truth->told_code = code;
	sim->dashboard->is_out_of_order |= truth->ticket < sim->dashboard->last_told;
	sim->dashboard->last_told = truth->ticket;
	truth->deliveries++;
	sim->counts.delivered++;
	sim->counts.doubled += truth->deliveries > 1;
	if (!is_spare)
		count_report(sim);
}

static void take_status(struct sim *sim, const struct sim_request *request, bool is_second)
{
	struct file *file = disk_find(&sim->disk, request->run);
	struct truth *truth = &file->truth;
	if (is_second)
		truth->excuses++;
	dashboard_takes(sim, file, request->outcome, request->code, is_second);
	sim_check(sim, truth->deliveries <= 1 + truth->excuses, "%s is told %u times without need",
		file->name, truth->deliveries);
}

uint64_t dashboard_next_ticket(struct sim *sim)
{
	return ++sim->dashboard->ticket;
}

void dashboard_note_registration(struct sim *sim)
{
	sim->dashboard->registrations++;
}

static void take_register(
	struct sim *sim, const struct sim_request *request, struct sim_reply *reply)
{
	struct sim_dashboard *dashboard = sim->dashboard;
	dashboard->registrations++;
	if (request->token == 0 && dashboard->token == 0)
		reply->token = dashboard->token = ++dashboard->registrations * 1000;
	if (dashboard->queued_ticket == 0)
		return;
	snprintf(reply->command, sizeof(reply->command), "%s", dashboard->queued);
	reply->ticket = dashboard->queued_ticket;
	dashboard->queued_ticket = 0;
}

static bool is_allowed(struct sim *sim, const struct sim_request *request)
{
	struct sim_dashboard *dashboard = sim->dashboard;
	bool is_good = request->token != 0 ? request->token == dashboard->token
					   : !dashboard->is_strict || dashboard->token == 0;
	if (is_good)
		dashboard->locked_out = 0;
	else if (++dashboard->locked_out == LOCKED_OUT_MAX)
		dashboard->token = 0; /* somebody deletes the host; it may register anew */
	return is_good;
}

static void excuse(struct sim *sim, const struct flight *flight)
{
	if (flight->request.kind == ASK_STATUS)
		disk_find(&sim->disk, flight->request.run)->truth.excuses++;
}

static void serve(struct sim *sim, struct flight *flight)
{
	const struct sim_request *request = &flight->request;
	flight->reply.code = 200;
	if (!worker_process_waits(sim, request->life))
		excuse(sim, flight);
	if (!is_allowed(sim, request)) {
		flight->reply.code = 401;
		return;
	}
	switch (request->kind) {
	case ASK_REGISTER: take_register(sim, request, &flight->reply); break;
	case ASK_STATUS: take_status(sim, request, flight->is_second); break;
	case ASK_PROGRESS:
		if (!request->is_running)
			sim->dashboard->queued_ticket = 0;
		break;
	}
}

/* ---- the way there and back ---- */

static void on_reply(struct sim *sim, struct sim_timer *timer)
{
	struct flight *flight = timer->data;
	if (sim->frozen_worker > sim->now) {
		sim_after(sim, sim->frozen_worker - sim->now, *timer);
		return;
	}
	worker_process_answered(sim, &flight->reply);
	free(flight);
}

static void spoil(struct sim *sim, struct flight *flight)
{
	static const uint32_t codes[] = {500, 502, 429, 401, 408, 200};
	uint32_t code = codes[sim_random(sim, sizeof(codes) / sizeof(codes[0]))];
	excuse(sim, flight);
	flight->reply = (struct sim_reply){.life = flight->request.life,
		.id = flight->request.id,
		.code = code,
		.is_garbage = code == 200,
		.retry_after_ms = code == 429 && sim_random(sim, 2) ? sim_random(sim, 60000) : 0};
}

static void lose(struct sim *sim, struct flight *flight)
{
	excuse(sim, flight);
	flight->reply = (struct sim_reply){
		.life = flight->request.life, .id = flight->request.id, .code = 0};
}

static void on_arrival(struct sim *sim, struct sim_timer *timer)
{
	struct flight *flight = timer->data;
	uint64_t back = sim_random(sim, LATENCY_NS);
	if (flight->is_acting && !sim->is_network_down)
		serve(sim, flight);
	if (flight->is_second) {
		free(flight);
		return;
	}
	if (flight->is_lost || sim->is_network_down || !flight->is_acting) {
		lose(sim, flight);
		back = sim_random(sim, SILENCE_NS);
		/* Somebody else answers: a portal, a proxy's error page. */
		if (!flight->is_acting && sim_random(sim, 2) == 0)
			flight->reply.code = 200;
		flight->reply.is_garbage = true;
	} else if (sim_chance(sim, sim->faults.network)) {
		spoil(sim, flight);
	}
	timer->fire = on_reply;
	sim_after(sim, back, *timer);
}

static void double_it(struct sim *sim, const struct flight *flight)
{
	struct flight *second = malloc(sizeof(*second));
	check(second != NULL);
	*second = *flight;
	second->is_second = true;
	sim_after(sim, sim_random(sim, 30 * NS_PER_S),
		(struct sim_timer){.fire = on_arrival, .data = second});
}

void dashboard_asked(struct sim *sim, const struct sim_request *request)
{
	struct flight *flight = calloc(1, sizeof(*flight));
	check(flight != NULL);
	flight->request = *request;
	flight->reply.life = request->life;
	flight->reply.id = request->id;
	flight->is_lost = sim_chance(sim, sim->faults.network);
	flight->is_acting = !sim_chance(sim, sim->faults.network);
	if (flight->is_acting && sim_chance(sim, sim->faults.network / 4))
		double_it(sim, flight);
	sim_after(sim, sim_random(sim, LATENCY_NS),
		(struct sim_timer){.fire = on_arrival, .data = flight});
}
