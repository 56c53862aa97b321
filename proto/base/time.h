/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Two kinds of time that the compiler keeps apart: struct mono for deadlines, struct wall for
 * people and servers. A loop reads each clock once a wake and passes the values on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mono {
	uint64_t ns;
};

struct wall {
	int64_t ns;
};

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_S   UINT64_C(1000000000)
#define MONO_NEVER ((struct mono){UINT64_MAX})

/* The clock of all deadlines; it stands still while the machine sleeps. */
struct mono mono_now(void);

/* The same, but counting sleep: the difference to mono_now() grows by each sleep. */
struct mono mono_now_with_sleep(void);

struct wall wall_now(void);

static inline bool mono_reached(struct mono now, struct mono due)
{
	return now.ns >= due.ns;
}

/* now plus ms, or MONO_NEVER where that does not fit. */
static inline struct mono mono_after(struct mono now, uint64_t ms)
{
	if (ms > (UINT64_MAX - now.ns) / NS_PER_MS)
		return MONO_NEVER;
	return (struct mono){now.ns + ms * NS_PER_MS};
}

/* The clock's start where that was less than ms ago. */
static inline struct mono mono_before(struct mono now, uint64_t ms)
{
	return (struct mono){ms < now.ns / NS_PER_MS ? now.ns - ms * NS_PER_MS : 0};
}

static inline struct mono mono_earlier(struct mono a, struct mono b)
{
	return a.ns < b.ns ? a : b;
}

/* Milliseconds from since to now; 0 when since lies ahead. */
static inline uint64_t mono_ms_since(struct mono now, struct mono since)
{
	return now.ns > since.ns ? (now.ns - since.ns) / NS_PER_MS : 0;
}

/* Milliseconds left until due, rounded up so that a timer set to it does not fire early; 0 when
 * reached. */
static inline uint64_t mono_ms_until(struct mono now, struct mono due)
{
	return due.ns > now.ns ? (due.ns - now.ns + NS_PER_MS - 1) / NS_PER_MS : 0;
}

static inline int64_t wall_ms(struct wall wall)
{
	return wall.ns / (int64_t)NS_PER_MS;
}

#define WALL_TEXT_BYTES 32
/* RFC 3339 in UTC, seconds: 2026-11-23T17:02:11Z. text holds WALL_TEXT_BYTES. */
void wall_text(struct wall wall, char *text);
/* The form that names runs: 20261123T170211Z. text holds WALL_TEXT_BYTES. */
void wall_compact(struct wall wall, char *text);
