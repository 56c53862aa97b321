/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host's load from the Mach host. */
#include <mach/mach.h>
#include <stdlib.h>
#include <sys/sysctl.h>

#include "worker/facts.h"

const char facts_stasysmo_folder[] = "/tmp/stasysmo";

static bool read_cpu(struct facts_cpu *cpu)
{
	host_cpu_load_info_data_t load;
	mach_msg_type_number_t count = HOST_CPU_LOAD_INFO_COUNT;
	if (host_statistics(mach_host_self(), HOST_CPU_LOAD_INFO, (host_info_t)&load, &count) !=
		KERN_SUCCESS)
		return false;
	*cpu = (struct facts_cpu){0};
	for (int i = 0; i < CPU_STATE_MAX; i++)
		cpu->all += load.cpu_ticks[i];
	cpu->busy = cpu->all - load.cpu_ticks[CPU_STATE_IDLE];
	return cpu->all > 0;
}

static bool read_memory(struct facts_metrics *metrics)
{
	vm_statistics64_data_t memory;
	mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
	uint64_t all = 0;
	size_t size = sizeof(all);
	if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&memory, &count) !=
			KERN_SUCCESS ||
		sysctlbyname("hw.memsize", &all, &size, NULL, 0) != 0 || all == 0)
		return false;
	uint64_t used = ((uint64_t)memory.active_count + memory.wire_count +
				memory.compressor_page_count) *
			vm_kernel_page_size;
	metrics->ram = used >= all ? 100.0 : 100.0 * (double)used / (double)all;
	return true;
}

static void read_swap(struct facts_metrics *metrics)
{
	struct xsw_usage swap;
	size_t size = sizeof(swap);
	if (sysctlbyname("vm.swapusage", &swap, &size, NULL, 0) != 0)
		return;
	metrics->has_swap = true;
	if (swap.xsu_total > 0)
		metrics->swap = 100.0 * (double)swap.xsu_used / (double)swap.xsu_total;
}

void facts_kernel_close(struct facts_kernel *kernel)
{
	(void)kernel;
}

void facts_metrics_kernel(
	const char *root, struct facts_kernel *kernel, struct facts_metrics *metrics)
{
	struct facts_cpu now;
	struct facts_cpu *cpu = &kernel->cpu;
	(void)root; /* the kernel has no files here */
	if (!read_cpu(&now) || !read_memory(metrics))
		return;
	uint64_t all = now.all - cpu->all;
	uint64_t busy = now.busy - cpu->busy;
	metrics->cpu = all == 0 || busy > all ? 0.0 : 100.0 * (double)busy / (double)all;
	metrics->is_known = true;
	*cpu = now;
	read_swap(metrics);
	metrics->has_load = getloadavg(&metrics->load, 1) == 1;
}
