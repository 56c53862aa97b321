/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervisor/lock.h"

#define SPACE_LEAST_BYTES (64ull * 1024 * 1024)

void doctor_say(
	struct doctor *doctor, enum finding verdict, const char *what, const char *format, ...)
{
	char words[REASON_BYTES_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	doctor->say(doctor->data, &(struct control){.type = CONTROL_FINDING,
					  .finding = {.verdict = verdict,
						  .what = text_of(what),
						  .words = text_of(words)}});
}

/* A file of root's that the agent may read: who looks is in that group, or it is some account's. */
static bool is_for_group(const struct doctor *doctor, const struct stat *info)
{
	bool is_its_group = doctor->is_agents ? geteuid() != 0 && info->st_gid == getegid()
					      : info->st_gid != 0;
	return info->st_uid == 0 && (info->st_mode & 037) == 0 && is_its_group;
}

/* A file with a secret is its owner's alone, and that is the agent or root; root's may be for the
 * agent's group, too. */
static bool is_private(struct doctor *doctor, const char *path)
{
	struct stat info;
	if (stat(path, &info) < 0) {
		if (errno != ENOENT)
			doctor_say(
				doctor, FINDING_FAILED, "token", "%s: %s", path, strerror(errno));
		return errno == ENOENT;
	}
	unsigned mode = info.st_mode & 0777;
	if ((mode & 077) && !is_for_group(doctor, &info)) {
		/* Root's alone, and an agent of an ordinary account could not start again. */
		if (doctor->is_agents && info.st_uid == 0 && geteuid() != 0)
			doctor_say(doctor, FINDING_WARNING, "token",
				"%s can be read by others (mode %03o): chown :%u and chmod 640 it",
				path, mode, (unsigned)getegid());
		else
			doctor_say(doctor, FINDING_WARNING, "token",
				"%s can be read by others (mode %03o): chmod 600 %s", path, mode,
				path);
		return false;
	}
	/* Root alone does not know of which account the agent would be. */
	bool knows_account = doctor->is_agents || geteuid() != 0;
	if (knows_account && info.st_uid != 0 && info.st_uid != geteuid()) {
		doctor_say(doctor, FINDING_WARNING, "token",
			"%s belongs to user %u: it must belong to root or to user %u", path,
			(unsigned)info.st_uid, (unsigned)geteuid());
		return false;
	}
	return true;
}

void doctor_token(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	bool is_good = !*config->token_file || is_private(doctor, config->token_file);
	is_good = is_private(doctor, config->token_cache) && is_good;
	if (!*config->url)
		doctor_say(doctor, FINDING_OK, "token", "none is needed: standalone");
	else if (is_good)
		doctor_say(doctor, FINDING_OK, "token", "%s",
			*config->token_file ? config->token_file : "from the environment");
}

void doctor_space(struct doctor *doctor)
{
	struct statvfs info;
	const char *path = doctor->config->state_dir;
	if (statvfs(path, &info) < 0) {
		doctor_say(doctor, errno == ENOENT ? FINDING_WARNING : FINDING_FAILED, "space",
			"%s: %s: the agent makes it when it starts", path, strerror(errno));
		return;
	}
	unsigned long long mib = (unsigned long long)info.f_bavail * info.f_frsize / 1048576;
	enum finding verdict = mib >= (RUNS_KEPT_BYTES_MAX + OUTPUT_BYTES_MAX) / 1048576
				       ? FINDING_OK
			       : mib >= SPACE_LEAST_BYTES / 1048576 ? FINDING_WARNING
								    : FINDING_FAILED;
	doctor_say(doctor, verdict, "space", "%llu MiB are free for %s%s", mib, path,
		verdict == FINDING_OK ? "" : ": make room, or move NIXFLEET_STATE_DIR");
	if (access(path, W_OK) < 0)
		doctor_say(doctor, FINDING_FAILED, "space",
			"%s: %s: the agent must be able to write", path, strerror(errno));
}

void doctor_lock(struct doctor *doctor)
{
	struct lock_holder holder;
	lock_find_holder(doctor->config->host, doctor->config->home, &holder);
	if (holder.pid == 0)
		doctor_say(doctor, FINDING_OK, "lock", "nobody holds %s", holder.path);
	else if (!holder.is_alive)
		doctor_say(doctor, FINDING_WARNING, "lock",
			"%s was left by pid %d, which is gone: the next agent takes it",
			holder.path, (int)holder.pid);
	else if (doctor->is_agents)
		doctor_say(doctor, FINDING_OK, "lock", "held by pid %d since %s", (int)holder.pid,
			holder.since);
	else
		doctor_say(doctor, FINDING_WARNING, "lock",
			"%s is held by pid %d since %s, which does not answer", holder.path,
			(int)holder.pid, holder.since);
}

/* Secrets are not for the programs that are asked. */
static void forget_secrets(void)
{
	unsetenv("NIXFLEET_TOKEN");
	unsetenv("NIXFLEET_TOKEN_FILE");
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("NOTIFY_SOCKET");
	setenv("GIT_TERMINAL_PROMPT", "0", 1);
}

void doctor_run(struct doctor *doctor)
{
	static void (*const checks[])(struct doctor * doctor) = {doctor_token, doctor_space,
		doctor_lock, doctor_resolver, doctor_tls, doctor_repository, doctor_programs,
		doctor_sudo, doctor_service};
	forget_secrets();
	doctor->until = mono_after(mono_now(), DOCTOR_MS);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (mono_reached(mono_now(), doctor->until)) {
			doctor_say(doctor, FINDING_FAILED, "doctor",
				"the rest was not looked at: %d s are over", DOCTOR_MS / 1000);
			return;
		}
		checks[i](doctor);
	}
}
