/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/wire.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/sim/sim.h"

#define LATENCY_NS     (50 * NS_PER_MS)
#define UPGRADE_NS     (10 * NS_PER_S) /* the worker waits no longer for one */
#define CROWDED_NS     (2 * NS_PER_S)  /* the dashboard reads so late: no output is added */
#define DELAY_NS       (30 * NS_PER_S)
#define INBOX_AGAIN_NS (10 * NS_PER_MS)

struct wire *wire_last(struct sim *sim)
{
	return &sim->wires.list[sim->wires.last % WIRES_KEPT];
}

static struct wire *find(struct sim *sim, uint64_t number)
{
	struct wire *wire = &sim->wires.list[number % WIRES_KEPT];
	return wire->number == number ? wire : NULL;
}

bool wire_is_open(struct sim *sim)
{
	return wire_last(sim)->state == WIRE_OPEN;
}

bool wire_has_room(struct sim *sim)
{
	return wire_is_open(sim) && wire_last(sim)->out_at < sim->now + CROWDED_NS;
}

/* The worker does not read now: the timer comes again, behind those that wait already. */
static bool is_postponed(struct sim *sim, struct wire *wire, struct sim_timer *timer)
{
	if (sim->frozen_worker > sim->now) {
		sim_after(sim, sim->frozen_worker - sim->now, *timer);
		return true;
	}
	if (wire->held_until <= sim->now) {
		if (worker_wire_can_hear(sim, wire->life))
			return false;
		wire->held_until = sim->now + INBOX_AGAIN_NS;
	}
	sim_after(sim, wire->held_until - sim->now, *timer);
	return true;
}

static void end_of(struct sim *sim, struct wire *wire, struct wire_end end)
{
	if (wire->state == WIRE_GONE)
		return;
	wire->state = WIRE_GONE;
	end.id = wire->id;
	worker_wire_closed(sim, wire->life, &end);
}

/* ---- opening ---- */

static void refuse(struct sim *sim, struct wire *wire)
{
	static const uint64_t codes[] = {401, 503, 502, 0};
	uint64_t code = codes[sim_random(sim, sizeof(codes) / sizeof(codes[0]))];
	end_of(sim, wire,
		(struct wire_end){.code = code,
			.retry_after_ms = code == 503 && sim_random(sim, 2) ? sim_random(sim, 60000)
									    : 0});
}

static void on_upgraded(struct sim *sim, struct sim_timer *timer)
{
	struct wire *wire = find(sim, timer->a);
	if (!wire || wire->state != WIRE_CONNECTING || is_postponed(sim, wire, timer))
		return;
	if (sim->is_network_down || timer->b) {
		end_of(sim, wire, (struct wire_end){0});
		return;
	}
	if (sim_chance(sim, sim->faults.network)) {
		refuse(sim, wire);
		return;
	}
	wire->state = WIRE_OPEN;
	worker_wire_connected(sim, wire->life, wire->id);
}

void wire_open(struct sim *sim, uint64_t life, uint64_t id)
{
	sim_check(sim, wire_last(sim)->state == WIRE_GONE, "a second connection is made");
	struct wire *wire = &sim->wires.list[++sim->wires.last % WIRES_KEPT];
	bool is_silent = sim->is_network_down || sim_chance(sim, sim->faults.network / 4);
	*wire = (struct wire){.number = sim->wires.last,
		.life = life,
		.id = id,
		.state = WIRE_CONNECTING,
		.out_at = sim->now,
		.in_at = sim->now};
	sim_after(sim, is_silent ? UPGRADE_NS : sim_random(sim, LATENCY_NS),
		(struct sim_timer){.fire = on_upgraded, .a = wire->number, .b = is_silent});
}

void wire_close(struct sim *sim)
{
	struct wire *wire = wire_last(sim);
	if (wire->state == WIRE_GONE)
		return;
	/* What the kernel had taken may still be sent. */
	wire->is_out_cut |= sim_chance(sim, 500);
	wire->state = WIRE_GONE;
}

/* ---- breaking ---- */

static void on_reset(struct sim *sim, struct sim_timer *timer)
{
	struct wire *wire = find(sim, timer->a);
	if (wire && wire->state == WIRE_OPEN && !is_postponed(sim, wire, timer))
		end_of(sim, wire, (struct wire_end){0});
}

static void cut(struct sim *sim, struct wire *wire, bool out, bool in)
{
	wire->is_out_cut |= out;
	wire->is_in_cut |= in;
	if (out && in)
		session_lost(sim, wire->number);
}

static void break_somehow(struct sim *sim, struct wire *wire)
{
	switch (sim_random(sim, 7)) {
	case 0:
		cut(sim, wire, true, true);
		sim_after(sim, sim_random(sim, LATENCY_NS),
			(struct sim_timer){.fire = on_reset, .a = wire->number});
		break;
	case 1: cut(sim, wire, true, true); break; /* half-open: nobody is told */
	case 2: cut(sim, wire, true, false); break;
	case 3: cut(sim, wire, false, true); break;
	case 4:
		wire_answer(sim, wire->number, &(struct wire_frame){.kind = FRAME_CLOSE});
		session_lost(sim, wire->number);
		break;
	case 5: wire->out_at += sim_random(sim, DELAY_NS); break;
	case 6: wire->in_at += sim_random(sim, DELAY_NS); break;
	default: break;
	}
}

void wire_network_gone(struct sim *sim)
{
	if (wire_is_open(sim))
		cut(sim, wire_last(sim), true, true);
}

void wire_cut_out(struct sim *sim)
{
	if (wire_is_open(sim))
		cut(sim, wire_last(sim), true, false);
}

/* ---- frames ---- */

static uint64_t arrival(struct sim *sim, uint64_t *last)
{
	uint64_t at = sim->now + sim_random(sim, LATENCY_NS);
	*last = at > *last ? at : *last;
	return *last - sim->now;
}

static struct wire_frame *copy(const struct wire_frame *frame, uint64_t number)
{
	struct wire_frame *own = malloc(sizeof(*own));
	check(own != NULL);
	*own = *frame;
	own->wire = number;
	return own;
}

static void on_out(struct sim *sim, struct sim_timer *timer)
{
	struct wire_frame *frame = timer->data;
	const struct wire *wire = find(sim, frame->wire);
	if (wire && !wire->is_out_cut)
		session_heard(sim, frame);
	free(frame);
}

void wire_say(struct sim *sim, const struct wire_frame *frame)
{
	struct wire *wire = wire_last(sim);
	if (wire->state != WIRE_OPEN)
		return;
	if (sim_chance(sim, sim->faults.network / 10))
		break_somehow(sim, wire);
	sim_after(sim, arrival(sim, &wire->out_at),
		(struct sim_timer){.fire = on_out, .data = copy(frame, wire->number)});
}

static void on_in(struct sim *sim, struct sim_timer *timer)
{
	struct wire_frame *frame = timer->data;
	struct wire *wire = find(sim, frame->wire);
	bool is_heard = wire && wire->state == WIRE_OPEN && !wire->is_in_cut;
	if (is_heard && is_postponed(sim, wire, timer))
		return;
	if (is_heard && frame->kind == FRAME_CLOSE)
		end_of(sim, wire, (struct wire_end){.close_code = 1005});
	else if (is_heard)
		worker_wire_heard(sim, wire->life, frame);
	free(frame);
}

void wire_answer(struct sim *sim, uint64_t number, const struct wire_frame *frame)
{
	struct wire *wire = find(sim, number);
	if (!wire || wire->state != WIRE_OPEN)
		return;
	if (sim_chance(sim, sim->faults.network / 10) && frame->kind != FRAME_CLOSE)
		break_somehow(sim, wire);
	sim_after(sim, arrival(sim, &wire->in_at),
		(struct sim_timer){.fire = on_in, .data = copy(frame, number)});
}
