/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The socket between supervisor and worker: real frames, delivered late and in pieces. */
#include <string.h>

#include "proto/base/check.h"
#include "proto/frame.h"
#include "tests/sim/sim.h"

struct way {
	struct bytes bytes;
	bool is_coming; /* a delivery is on its way */
};

static struct way ways[2] = {
	{.bytes = {.size_max = CHANNEL_QUEUE_BYTES_MAX}},
	{.bytes = {.size_max = CHANNEL_QUEUE_BYTES_MAX}},
};
static uint64_t current;

static void on_delivery(struct sim *sim, struct sim_timer *timer);

void channel_reset(struct sim *sim, uint64_t epoch)
{
	sim_forget(sim, on_delivery);
	for (int i = 0; i < 2; i++) {
		bytes_clear(&ways[i].bytes);
		ways[i].is_coming = false;
	}
	current = epoch;
}

void channel_free(void)
{
	for (int i = 0; i < 2; i++)
		bytes_finish(&ways[i].bytes);
}

struct bytes *channel_room(struct sim *sim, enum sim_way way)
{
	(void)sim;
	return &ways[way].bytes;
}

void channel_wrote(struct sim *sim, enum sim_way way)
{
	if (ways[way].is_coming)
		return;
	ways[way].is_coming = true;
	sim_after(sim, 20000 + sim_random(sim, 2 * NS_PER_MS),
		(struct sim_timer){.fire = on_delivery, .a = way, .b = current});
}

/* Hands on the whole frames among the first size bytes. False: the reader died over one. */
static bool deliver(struct sim *sim, enum sim_way way, uint32_t size)
{
	static uint8_t copy[CHANNEL_QUEUE_BYTES_MAX];
	struct frame frame;
	uint64_t epoch = current;
	uint32_t at = 0;
	check(size <= sizeof(copy));
	if (size > 0)
		memcpy(copy, ways[way].bytes.data, size);
	while (frame_parse(copy + at, size - at, &frame) == FRAME_WHOLE) {
		at += frame.bytes;
		bytes_drop(&ways[way].bytes, frame.bytes);
		if (way == TO_WORKER)
			worker_process_hears(sim, epoch, frame.payload);
		else
			supervisor_hears(sim, epoch, frame.payload);
		if (current != epoch || (way == TO_WORKER && !worker_process_is_alive(sim)))
			return false;
	}
	return true;
}

static void on_delivery(struct sim *sim, struct sim_timer *timer)
{
	enum sim_way way = (enum sim_way)timer->a;
	uint64_t frozen = way == TO_WORKER ? sim->frozen_worker : sim->frozen_supervisor;
	if (timer->b != current)
		return;
	if (frozen > sim->now) {
		sim_after(sim, frozen - sim->now, *timer);
		return;
	}
	ways[way].is_coming = false;
	uint32_t size = ways[way].bytes.size;
	bool is_piece = size > 0 && sim_random(sim, 8) == 0;
	uint32_t taken = is_piece ? (uint32_t)sim_random(sim, size) : size;
	if (deliver(sim, way, taken) && is_piece)
		channel_wrote(sim, way);
}

void channel_drain(struct sim *sim)
{
	deliver(sim, TO_SUPERVISOR, ways[TO_SUPERVISOR].bytes.size);
}
