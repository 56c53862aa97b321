/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/status.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

static struct shell *shell;

/* All is well, but for the disk. */
static void begin(void)
{
	shell = calloc(1, sizeof(*shell));
	cr_assert(shell != NULL);
	rules_init(&shell->rules);
	shell->rules.protocol = PROTOCOL_HTTP;
	shell->rules.gate.state = GATE_OPEN;
	shell->rules.worker.state = WORKER_UP;
	shell->rules.worker.link = LINK_UP;
	shell->rules.token.is_kept = true;
	snprintf(shell->store_trouble, sizeof(shell->store_trouble), "the disk is full");
}

static void finish(void)
{
	free(shell);
}

TestSuite(status, .init = begin, .fini = finish);

static void expect(uint64_t health, const char *words)
{
	const char *why = "";
	cr_assert(eq(u64, status_health(shell, &why), health), "%s", why);
	cr_assert(eq(str, (char *)(uintptr_t)why, (char *)(uintptr_t)words));
}

Test(status, a_disk_hides_what_is_only_degraded)
{
	expect(1, "the disk is full");
	shell->rules.worker.state = WORKER_DEGRADED;
	expect(1, "the disk is full");
}

Test(status, a_disk_does_not_hide_what_has_failed)
{
	shell->rules.worker.link = LINK_REFUSED;
	expect(2, "the dashboard refuses the token");
	shell->rules.worker.state = WORKER_WAITING;
	shell->rules.worker.is_safe_mode = true;
	expect(2, "the worker dies again and again: it is tried every 5 minutes");
}
