/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host's load, from StaSysMo's files where they are fresh. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/facts.h"

#define STASYSMO_FRESH_S 30
#define NUMBER_BYTES_MAX 64

static bool read_number(const char *root, const char *name, double *to)
{
	char path[SHORT_TEXT_BYTES_MAX];
	char text[NUMBER_BYTES_MAX];
	char *end;
	snprintf(path, sizeof(path), "%s/%s", facts_stasysmo_folder, name);
	if (!facts_read(root, path, text, sizeof(text)))
		return false;
	double number = strtod(text, &end);
	if (end == text || !isfinite(number) || number < 0)
		return false;
	*to = number;
	return true;
}

static bool is_fresh(const char *root, struct wall now)
{
	double written;
	if (!read_number(root, "timestamp", &written))
		return false;
	double age = (double)now.ns / (double)NS_PER_S - written;
	return age >= -STASYSMO_FRESH_S && age <= STASYSMO_FRESH_S;
}

bool facts_has_stasysmo(const char *root)
{
	struct facts_stamp folder;
	return facts_stamp(root, facts_stasysmo_folder, &folder);
}

void facts_metrics(const char *root, struct wall now, bool has_stasysmo,
	struct facts_kernel *kernel, struct facts_metrics *metrics)
{
	*metrics = (struct facts_metrics){0};
	if (has_stasysmo && is_fresh(root, now) && read_number(root, "cpu", &metrics->cpu) &&
		read_number(root, "ram", &metrics->ram)) {
		metrics->is_known = true;
		metrics->has_swap = read_number(root, "swap", &metrics->swap);
		metrics->has_load = read_number(root, "load", &metrics->load);
		return;
	}
	facts_metrics_kernel(root, kernel, metrics);
}
