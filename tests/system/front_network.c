/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Network namespaces of the test's own. They have no names: descriptors hold them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/system/front.h"

static int new_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("skipped: no network namespaces here: %s", strerror(errno));
	/* Of this thread, not of the process: only this thread moves. */
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0);
	return fd;
}

static void run(const char *command)
{
	char line[WORLD_TEXT_BYTES + 64];
	snprintf(line, sizeof(line), "PATH=$PATH:/usr/sbin:/sbin; %s >/dev/null 2>&1", command);
	if (system(line) != 0)
		cr_skip_test("skipped: not possible here: %s", command);
}

void front_network_open(struct front_network *network)
{
	char command[WORLD_TEXT_BYTES];
	front_need("ip");
	if (geteuid() != 0)
		cr_skip_test("skipped: network namespaces need root");
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("skipped: no mount namespace here: %s", strerror(errno));
	network->agent = new_namespace();
	run("ip link set lo up");
	network->dashboard = new_namespace();
	run("ip link set lo up");
	snprintf(command, sizeof(command),
		"ip link add near type veth peer name far netns /proc/%d/fd/%d", (int)getpid(),
		network->agent);
	run(command);
	run("ip addr add " FRONT_DASHBOARD_ADDRESS "/24 dev near");
	run("ip link set near up");
}

void front_network_enter(const struct front_network *network, bool agent)
{
	int fd = agent ? network->agent : network->dashboard;
	cr_assert(setns(fd, CLONE_NEWNET) == 0, "%s", strerror(errno));
}

void front_resolver(struct world *world, const char *text)
{
	char path[WORLD_TEXT_BYTES];
	world_file(world, "resolv.conf", text, 0644);
	snprintf(path, sizeof(path), "%s/resolv.conf", world->folder);
	if (mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		cr_skip_test("skipped: /etc/resolv.conf cannot be covered: %s", strerror(errno));
}

void front_network_connect(struct world *world, const struct front_network *network)
{
	front_network_enter(network, true);
	int code = front_shell(
		world, "ip addr add " FRONT_AGENT_ADDRESS "/24 dev far && ip link set far up");
	front_network_enter(network, false);
	cr_assert(code == 0);
}
