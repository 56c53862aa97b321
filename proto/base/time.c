/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/time.h"

#include <stdio.h>
#include <time.h>

#include "proto/base/check.h"

/* macOS counts sleep in CLOCK_MONOTONIC, Linux does not; each has another clock for the rest. */
#ifdef CLOCK_UPTIME_RAW
#define CLOCK_AWAKE      CLOCK_UPTIME_RAW
#define CLOCK_WITH_SLEEP CLOCK_MONOTONIC
#else
#define CLOCK_AWAKE      CLOCK_MONOTONIC
#define CLOCK_WITH_SLEEP CLOCK_BOOTTIME
#endif

static struct mono clock_read(clockid_t clock)
{
	struct timespec at;
	check(clock_gettime(clock, &at) == 0);
	return (struct mono){(uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec};
}

struct mono mono_now(void)
{
	return clock_read(CLOCK_AWAKE);
}

struct mono mono_now_with_sleep(void)
{
	return clock_read(CLOCK_WITH_SLEEP);
}

struct wall wall_now(void)
{
	struct timespec at;
	check(clock_gettime(CLOCK_REALTIME, &at) == 0);
	return (struct wall){(int64_t)at.tv_sec * (int64_t)NS_PER_S + at.tv_nsec};
}

/* The calendar's parts in UTC; the year is kept to four digits. */
static struct tm wall_parts(struct wall wall)
{
	time_t seconds = (time_t)(wall.ns / (int64_t)NS_PER_S);
	struct tm parts = {0};
	gmtime_r(&seconds, &parts);
	parts.tm_year = (parts.tm_year + 1900) % 10000;
	parts.tm_mon++;
	return parts;
}

void wall_text(struct wall wall, char *text)
{
	struct tm at = wall_parts(wall);
	snprintf(text, WALL_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02dZ", at.tm_year, at.tm_mon,
		at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec);
}

void wall_compact(struct wall wall, char *text)
{
	struct tm at = wall_parts(wall);
	snprintf(text, WALL_TEXT_BYTES, "%04d%02d%02dT%02d%02d%02dZ", at.tm_year, at.tm_mon,
		at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec);
}
