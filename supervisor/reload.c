/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The configuration, read again for SIGHUP and nfctl reload: by a child, for the disk it is on may
 * hang. What it read comes back in memory that both share. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/log.h"
#include "supervisor/control_server.h"
#include "supervisor/platform.h"
#include "supervisor/shell.h"

/* What a frame of the control socket holds; a longer reason is cut. */
#define SAID_BYTES (REASON_BYTES_MAX + 1)

struct reload_read {
	bool is_done;                   /* the rest is filled in */
	char error[CONFIG_ERROR_BYTES]; /* empty: it is good */
	uint32_t size;
	char packed[CONFIG_PACKED_BYTES_MAX];
};

static bool differs(const char *a, const char *b)
{
	return strcmp(a, b) != 0;
}

/* What the worker was told in hello. */
static bool is_news_for_worker(const struct config *a, const struct config *b)
{
	return differs(a->url, b->url) || differs(a->token, b->token) ||
	       differs(a->host, b->host) || differs(a->host_type, b->host_type) ||
	       differs(a->location, b->location) || differs(a->device_type, b->device_type) ||
	       differs(a->theme_color, b->theme_color) ||
	       differs(a->nixpkgs_version, b->nixpkgs_version) ||
	       differs(a->repo_dir, b->repo_dir) || differs(a->repo_url, b->repo_url) ||
	       differs(a->branch, b->branch) || differs(a->ca_file, b->ca_file) ||
	       differs(a->pinned_pubkey, b->pinned_pubkey) || a->interval_ms != b->interval_ms ||
	       a->spread_ms != b->spread_ms || a->level != b->level;
}

static void refuse(struct shell *shell, uint64_t client, const char *why)
{
	char said[SAID_BYTES];
	snprintf(said, sizeof(said), "the new configuration is not used: %s", why);
	log_error("%s", said);
	memcpy(shell->config_trouble, said, sizeof(said));
	shell_tell_manager(shell);
	control_reply_said(shell->control, client, false, text_of(said));
}

/* Takes config over. */
static void use(struct shell *shell, uint64_t client, struct config *config)
{
	char said[SAID_BYTES];
	struct rules_event event = shell_event(EVENT_RELOADED);
	event.reloaded.is_restart = is_news_for_worker(config, &shell->config);
	event.reloaded.is_other_dashboard = differs(config->url, shell->config.url);
	event.reloaded.protocol = config->protocol;
	config_finish(&shell->config);
	shell->config = *config;
	shell->config_trouble[0] = '\0';
	log_set_level(config->level);
	bool is_told = event.reloaded.is_restart && config->protocol != PROTOCOL_NONE;
	snprintf(said, sizeof(said), "the configuration was read again%s",
		is_told ? ": the worker starts anew with it" : "");
	log_info("%s", said);
	shell_turn(shell, &event);
	control_reply_said(shell->control, client, true, text_of(said));
}

/* What is taken at the start alone, by the lock or by the list of the host's own commands. */
static bool is_for_a_start(const struct config *a, const struct config *b)
{
	return differs(a->host, b->host) || differs(a->state_dir, b->state_dir) ||
	       differs(a->runtime_dir, b->runtime_dir) || differs(a->ops_dir, b->ops_dir);
}

static void judge(struct shell *shell, uint64_t client, const struct reload_read *read)
{
	struct config config;
	if (!read->is_done) {
		refuse(shell, client, "the process that read it died");
		return;
	}
	if (*read->error) {
		refuse(shell, client, read->error);
		return;
	}
	config_unpack(&config, (struct text){read->packed, read->size});
	if (!is_for_a_start(&config, &shell->config)) {
		use(shell, client, &config);
		return;
	}
	refuse(shell, client,
		"host name and folders are taken at the start; restart the agent to change them");
	config_finish(&config);
}

_Noreturn static void read_and_end(struct shell *shell, struct reload_read *read, pid_t parent)
{
	struct config config;
	struct bytes packed;
	struct config_from from = {
		.path = shell->config_path, .lookup = config_environment, .before = &shell->config};
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	lock_forget(shell->lock);
	platform_close_from(STDERR_FILENO + 1);
	if (!platform_die_with_parent(parent))
		_exit(1);
	if (config_load(&config, &from, read->error) == 0) {
		bytes_init(&packed, CONFIG_PACKED_BYTES_MAX);
		config_pack(&config, &packed);
		memcpy(read->packed, packed.data, packed.size);
		read->size = packed.size;
		read->error[0] = '\0';
	}
	read->is_done = true;
	_exit(0);
}

static void begin(struct shell *shell, uint64_t client)
{
	struct reload *reload = &shell->reload;
	char why[128];
	pid_t parent = getpid(), pid = -1;
	void *shared = mmap(NULL, sizeof(struct reload_read), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared != MAP_FAILED)
		pid = fork();
	if (pid == 0)
		read_and_end(shell, shared, parent);
	if (pid < 0) {
		snprintf(why, sizeof(why), "no process to read it: %s", strerror(errno));
		if (shared != MAP_FAILED)
			munmap(shared, sizeof(struct reload_read));
		refuse(shell, client, why);
		return;
	}
	child_add(shell, CHILD_RELOAD, pid, -1);
	*reload = (struct reload){.state = RELOAD_READING,
		.read = shared,
		.client = client,
		.due = mono_after(mono_now(), RELOAD_MS)};
	shell_set_timer(shell);
}

void reload_begin(struct shell *shell, uint64_t client)
{
	switch (shell->reload.state) {
	case RELOAD_NONE: begin(shell, client); return;
	case RELOAD_READING:
		if (client == 0)
			shell->reload.is_wanted = true;
		else
			control_reply_said(shell->control, client, false,
				text_of("the configuration is being read: try again"));
		return;
	case RELOAD_HUNG:
		refuse(shell, client, "its last reading still hangs: a disk does not answer");
		return;
	}
}

void reload_exited(struct child *child, int status)
{
	struct shell *shell = child->shell;
	struct reload ended = shell->reload;
	(void)status;
	/* Before the verdict: its time is no longer up, and its process is nobody to be killed. */
	shell->reload = (struct reload){.state = RELOAD_NONE, .due = MONO_NEVER};
	if (ended.state == RELOAD_READING)
		judge(shell, ended.client, ended.read);
	bytes_wipe(ended.read, sizeof(*ended.read));
	munmap(ended.read, sizeof(*ended.read));
	if (ended.is_wanted)
		reload_begin(shell, 0);
}

void reload_away(struct shell *shell)
{
	if (shell->reload.state == RELOAD_READING)
		shell->reload.due = mono_after(mono_now(), RELOAD_MS);
}

struct mono reload_due(struct shell *shell, struct mono now)
{
	struct reload *reload = &shell->reload;
	const struct child *child = child_find(shell, CHILD_RELOAD);
	if (reload->state != RELOAD_READING || !mono_reached(now, reload->due))
		return reload->due;
	reload->state = RELOAD_HUNG;
	reload->due = MONO_NEVER;
	if (child)
		kill(child->pid, SIGKILL); /* our own child, not reaped yet */
	refuse(shell, reload->client, "it could not be read in time: its disk hangs");
	return MONO_NEVER;
}
