/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the commands need of the host: the repository, programs, sudo rules, the service's unit. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/doctor.h"
#include "supervisor/isolation.h"
#include "supervisor/runner/steps.h"
#include "supervisor/runner/tool.h"

/* The commands of which a host's steps are looked at. */
static const char *const looked_at[] = {"pull", "switch", "rollback", "reboot"};
#define LOOKED_AT_COUNT (sizeof(looked_at) / sizeof(looked_at[0]))

static struct plan_command plan_of(const struct config *config, const char *command)
{
	return (struct plan_command){.run = TEXT_NONE,
		.command = text_of(command),
		.runs_dir = TEXT_NONE,
		.ops_dir = text_of(config->ops_dir),
		.protocol = PROTOCOL_WEBSOCKET,
		.host = text_of(config->host),
		.user = text_of(config->user),
		.home = text_of(config->home),
		.repo = text_of(config->repo_dir),
		.repo_url = text_of(config->repo_url),
		.branch = text_of(config->branch),
		.ssh_key = text_of(config->ssh_key),
		.manager = text_of(config->manager)};
}

static void each_step(struct doctor *doctor, const char *command,
	void (*look)(struct doctor *doctor, const struct step *step))
{
	char reason[REASON_BYTES_MAX + 1];
	struct plan_command plan = plan_of(doctor->config, command);
	struct steps steps;
	struct step step;
	steps_init(&steps, &plan);
	while (steps_next(&steps, &step, reason) == STEPS_NEXT) {
		if (step.argv[0])
			look(doctor, &step);
		step_finish(&step);
	}
	steps_finish(&steps);
}

static void look_at_program(struct doctor *doctor, const struct step *step)
{
	bool is_sudo = strcmp(step->argv[0], "sudo") == 0;
	const char *program = is_sudo && step->argv[1] && step->argv[2] ? step->argv[2]
									: step->argv[0];
	if (strcmp(program, "-l") == 0 || strchr(program, '/') || config_is_in_path(program))
		return;
	doctor->is_lacking = true;
	doctor_say(doctor, FINDING_FAILED, "programs",
		"step %s needs %s, which is not in PATH: install it, or add its folder to the PATH "
		"of the service",
		step->stage, program);
}

void doctor_programs(struct doctor *doctor)
{
	for (size_t i = 0; i < LOOKED_AT_COUNT; i++)
		each_step(doctor, looked_at[i], look_at_program);
	if (!config_is_in_path("git"))
		doctor_say(doctor, FINDING_FAILED, "programs", "git is not in PATH");
	else if (!doctor->is_lacking)
		doctor_say(doctor, FINDING_OK, "programs", "git and what else was looked for");
}

/* Exactly what the step would run, asked for instead of run. */
static void look_at_sudo(struct doctor *doctor, const struct step *step)
{
	const char *argv[OP_ARGV_MAX + 2] = {"sudo", "-n", "-l"};
	char answer[TOOL_ANSWER_BYTES], words[REASON_BYTES_MAX / 2] = "";
	size_t from = 2, count = 3;
	if (strcmp(step->argv[0], "sudo") != 0)
		return;
	if (step->argv[2] && strcmp(step->argv[2], "-l") == 0)
		from = 3;
	for (size_t i = from; step->argv[i] && count < OP_ARGV_MAX; i++) {
		size_t at = strlen(words);
		argv[count++] = step->argv[i];
		snprintf(words + at, sizeof(words) - at, "%s%s", at ? " " : "", step->argv[i]);
	}
	if (tool_ask(argv, answer))
		doctor_say(doctor, FINDING_OK, "sudo", "%s", words);
	else
		doctor_say(doctor, FINDING_FAILED, "sudo",
			"%s is not allowed without a password: give user %s a NOPASSWD rule for it",
			words, doctor->config->user);
}

void doctor_sudo(struct doctor *doctor)
{
	if (geteuid() == 0) {
		doctor_say(doctor, FINDING_OK, "sudo", "not needed: %s",
			doctor->is_agents ? "the agent is root" : "looked at as root");
		return;
	}
	for (size_t i = 0; i < LOOKED_AT_COUNT; i++)
		each_step(doctor, looked_at[i], look_at_sudo);
}

static void look_at_work(struct doctor *doctor, const char *repo)
{
	char answer[TOOL_ANSWER_BYTES];
	const char *const status[] = {
		"git", "-C", repo, "status", "--porcelain", "--untracked-files=no", NULL};
	if (!tool_ask(status, answer)) {
		doctor_say(doctor, FINDING_FAILED, "repository",
			"%s: git status fails: try it as user %s", repo, doctor->config->user);
		return;
	}
	answer[strcspn(answer, "\n")] = '\0';
	if (*answer && doctor->config->is_isolated)
		doctor_say(doctor, FINDING_WARNING, "repository",
			"%s has changes (%.100s): the next pull throws them away", repo, answer);
	else if (*answer)
		doctor_say(doctor, FINDING_WARNING, "repository",
			"%s has changes (%.100s): commit or stash them, or a pull may fail", repo,
			answer);
	else
		doctor_say(doctor, FINDING_OK, "repository", "%s is clean", repo);
}

void doctor_repository(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	const char *repo = config->repo_dir;
	char answer[TOOL_ANSWER_BYTES], git[PATH_BYTES_MAX + 8];
	struct stat info;
	snprintf(git, sizeof(git), "%s/.git", repo);
	if (!*repo) {
		doctor_say(doctor, FINDING_FAILED, "repository",
			"none: set NIXFLEET_REPO_DIR or NIXFLEET_REPO_URL");
		return;
	}
	if (stat(git, &info) < 0) {
		doctor_say(doctor, config->is_isolated ? FINDING_OK : FINDING_FAILED, "repository",
			"%s %s", repo,
			config->is_isolated ? "will be cloned"
					    : "is no git repository: clone the configuration to "
					      "it, or set NIXFLEET_REPO_URL");
		return;
	}
	const char *const look[] = {"git", "-C", repo, "rev-parse", "--git-dir", NULL};
	if (!tool_ask(look, answer) && info.st_uid != geteuid()) {
		doctor_say(doctor, FINDING_FAILED, "repository",
			"%s belongs to user %u and git refuses it to user %s: chown it, or as that "
			"user: git config --global --add safe.directory %s",
			repo, (unsigned)info.st_uid, config->user, repo);
		return;
	}
	look_at_work(doctor, repo);
}

/* The unit as the service manager has it, for want of a process in it. */
static void ask_manager(struct doctor *doctor)
{
	char answer[TOOL_ANSWER_BYTES];
	const char *const show[] = {"systemctl", "show", "-p", "LoadState,Delegate,KillMode",
		"nixfleet-agent.service", NULL};
	if (!tool_ask(show, answer) || !strstr(answer, "LoadState=loaded"))
		doctor_say(doctor, FINDING_WARNING, "service",
			"there is no nixfleet-agent.service: known only while the agent runs");
	else if (strstr(answer, "Delegate=yes") && strstr(answer, "KillMode=process"))
		doctor_say(
			doctor, FINDING_OK, "service", "%s", isolation_text(ISOLATION_DELEGATED));
	else
		doctor_say(
			doctor, FINDING_WARNING, "service", "%s", isolation_text(ISOLATION_SHARED));
}

void doctor_service(struct doctor *doctor)
{
	if (!doctor->is_agents) {
		ask_manager(doctor);
		return;
	}
	enum isolation isolation = isolation_find();
	doctor_say(doctor, isolation == ISOLATION_SHARED ? FINDING_WARNING : FINDING_OK, "service",
		"%s", isolation_text(isolation));
}
