/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host's load from /proc. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "worker/facts.h"

#define PROC_BYTES_MAX     16384
#define CPU_LINE_BYTES_MAX 512
#define CPU_FIELDS         8 /* user nice system idle iowait irq softirq steal */
#define CPU_SAMPLES_MIN    10

const char facts_stasysmo_folder[] = "/dev/shm/stasysmo";

/* In the order of facts_kernel.fds. */
enum proc_file {
	PROC_STAT,
	PROC_MEMINFO
};
static const char *const paths[FACTS_PROC_FILES] = {
	[PROC_STAT] = "/proc/stat",
	[PROC_MEMINFO] = "/proc/meminfo",
};

void facts_kernel_close(struct facts_kernel *kernel)
{
	for (int i = 0; kernel->is_open && i < FACTS_PROC_FILES; i++)
		fd_drop(&kernel->fds[i]);
	kernel->is_open = false;
}

static void open_all(const char *root, struct facts_kernel *kernel)
{
	char path[PATH_BYTES_MAX + SHORT_TEXT_BYTES_MAX];
	for (int i = 0; !kernel->is_open && i < FACTS_PROC_FILES; i++) {
		snprintf(path, sizeof(path), "%s%s", root, paths[i]);
		kernel->fds[i] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	kernel->is_open = true;
}

/* The file's beginning as one terminated text; the kernel makes it anew for a read at its start. */
static bool read_proc(const struct facts_kernel *kernel, enum proc_file file, char *to, size_t room)
{
	ssize_t have = kernel->fds[file] < 0 ? -1 : pread(kernel->fds[file], to, room - 1, 0);
	to[have > 0 ? have : 0] = '\0';
	return have > 0;
}

/* Only the first line is wanted; the file grows with the number of processors. */
static bool read_cpu(const struct facts_kernel *kernel, struct facts_cpu *cpu)
{
	char text[CPU_LINE_BYTES_MAX];
	uint64_t fields[CPU_FIELDS] = {0};
	int got = 0;
	if (!read_proc(kernel, PROC_STAT, text, sizeof(text)) || strncmp(text, "cpu ", 4) != 0)
		return false;
	char *at = text + 4, *end = at;
	for (; got < CPU_FIELDS; got++, at = end) {
		fields[got] = strtoull(at, &end, 10);
		if (end == at)
			break;
	}
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
	const char *at = strstr(text, key);
	char *end;
	if (!at)
		return false;
	at += strlen(key);
	*to = strtoull(at, &end, 10);
	return end != at;
}

static double used_percent(uint64_t all, uint64_t left)
{
	return all == 0 || left >= all ? 0.0 : 100.0 * (double)(all - left) / (double)all;
}

static bool read_memory(const struct facts_kernel *kernel, struct facts_metrics *metrics)
{
	char text[PROC_BYTES_MAX];
	uint64_t all;
	uint64_t left;
	if (!read_proc(kernel, PROC_MEMINFO, text, sizeof(text)) ||
		!take_kib(text, "MemTotal:", &all) || !take_kib(text, "MemAvailable:", &left))
		return false;
	metrics->ram = used_percent(all, left);
	if (take_kib(text, "SwapTotal:", &all) && take_kib(text, "SwapFree:", &left)) {
		metrics->swap = used_percent(all, left);
		metrics->has_swap = true;
	}
	return true;
}

void facts_metrics_kernel(
	const char *root, struct facts_kernel *kernel, struct facts_metrics *metrics)
{
	struct facts_cpu now;
	struct sysinfo info;
	open_all(root, kernel);
	if (!read_cpu(kernel, &now) || !read_memory(kernel, metrics)) {
		facts_kernel_close(kernel); /* the next look tries anew */
		return;
	}
	metrics->cpu = busy_percent(&kernel->cpu, &now);
	metrics->is_known = true;
	if (now.all >= kernel->cpu.all + CPU_SAMPLES_MIN || now.all < kernel->cpu.all)
		kernel->cpu = now;
	/* What /proc/loadavg says, without a file. */
	metrics->has_load = sysinfo(&info) == 0;
	if (metrics->has_load)
		metrics->load = (double)info.loads[0] / (1 << SI_LOAD_SHIFT);
}
