/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host's load from /proc. */
#include <stdio.h>
#include <string.h>

#include "worker/facts.h"

#define PROC_BYTES_MAX  16384
#define CPU_FIELDS      8 /* user nice system idle iowait irq softirq steal */
#define CPU_SAMPLES_MIN 10

const char facts_stasysmo_folder[] = "/dev/shm/stasysmo";

static bool read_cpu(const char *root, struct facts_cpu *cpu)
{
	/* Only the first line is wanted; the file grows with the number of processors. */
	char path[PATH_BYTES_MAX + SHORT_TEXT_BYTES_MAX];
	unsigned long long fields[CPU_FIELDS] = {0};
	snprintf(path, sizeof(path), "%s/proc/stat", root);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	int got = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &fields[0],
		&fields[1], &fields[2], &fields[3], &fields[4], &fields[5], &fields[6], &fields[7]);
	fclose(file);
	if (got < 4)
		return false;
	*cpu = (struct facts_cpu){0};
	for (int i = 0; i < CPU_FIELDS; i++)
		cpu->all += fields[i];
	cpu->busy = cpu->all - fields[3] - fields[4];
	return cpu->all > 0;
}

/* The part between two looks; at the first look, or right after another, the part since the boot.
 */
static double busy_percent(const struct facts_cpu *before, const struct facts_cpu *now)
{
	uint64_t busy = now->busy;
	uint64_t all = now->all;
	if (now->all >= before->all + CPU_SAMPLES_MIN && now->busy >= before->busy) {
		busy -= before->busy;
		all -= before->all;
	}
	return busy >= all ? 100.0 : 100.0 * (double)busy / (double)all;
}

static bool take_kib(const char *text, const char *key, uint64_t *to)
{
	unsigned long long kib;
	const char *at = strstr(text, key);
	if (!at || sscanf(at + strlen(key), " %llu", &kib) != 1)
		return false;
	*to = kib;
	return true;
}

static double used_percent(uint64_t all, uint64_t left)
{
	return all == 0 || left >= all ? 0.0 : 100.0 * (double)(all - left) / (double)all;
}

static bool read_memory(const char *root, struct facts_metrics *metrics)
{
	char text[PROC_BYTES_MAX];
	uint64_t all;
	uint64_t left;
	if (!facts_read(root, "/proc/meminfo", text, sizeof(text)) ||
		!take_kib(text, "MemTotal:", &all) || !take_kib(text, "MemAvailable:", &left))
		return false;
	metrics->ram = used_percent(all, left);
	if (take_kib(text, "SwapTotal:", &all) && take_kib(text, "SwapFree:", &left)) {
		metrics->swap = used_percent(all, left);
		metrics->has_swap = true;
	}
	return true;
}

void facts_metrics_kernel(const char *root, struct facts_cpu *cpu, struct facts_metrics *metrics)
{
	struct facts_cpu now;
	char text[SHORT_TEXT_BYTES_MAX];
	if (!read_cpu(root, &now) || !read_memory(root, metrics))
		return;
	metrics->cpu = busy_percent(cpu, &now);
	metrics->is_known = true;
	if (now.all >= cpu->all + CPU_SAMPLES_MIN || now.all < cpu->all)
		*cpu = now;
	metrics->has_load = facts_read(root, "/proc/loadavg", text, sizeof(text)) &&
			    sscanf(text, "%lf", &metrics->load) == 1;
}
