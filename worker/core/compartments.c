/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/compartments.h"

#include <string.h>

#include "proto/base/check.h"

#define BIT(kind) (1u << (kind))
#define GIT       BIT(COMPARTMENT_GIT)
#define LOCK      BIT(COMPARTMENT_LOCK)
#define SYSTEM    BIT(COMPARTMENT_SYSTEM)
#define TESTS     BIT(COMPARTMENT_TESTS)

/* What a command does to the compartments: worked on while it runs; ok and outdated after it went
 * well; error after it failed. answers: its summary is what these compartments say. */
static const struct effect {
	const char *command;
	uint32_t works, good, outdates, bad, answers;
	bool moves_lock, switches;
} effects[] = {
	{"pull", GIT, GIT, SYSTEM, GIT, 0, true, false},
	{"switch", SYSTEM, SYSTEM, TESTS, SYSTEM, 0, false, true},
	{"pull-switch", GIT | SYSTEM, GIT | SYSTEM, TESTS, SYSTEM, 0, true, true},
	{"test", TESTS, TESTS, 0, TESTS, 0, false, false},
	{"update", LOCK, LOCK, SYSTEM, LOCK, 0, true, false},
	{"bump-flake", LOCK, LOCK, SYSTEM, LOCK, 0, true, false},
	{"rollback", SYSTEM, SYSTEM, TESTS, SYSTEM, 0, false, true},
	{"force-update", GIT | SYSTEM, GIT | SYSTEM, TESTS, SYSTEM, 0, true, true},
	{"force-rebuild", GIT | SYSTEM, GIT | SYSTEM, TESTS, SYSTEM, 0, true, true},
	{"refresh-git", GIT, 0, 0, GIT, GIT, false, false},
	{"refresh-lock", LOCK, 0, 0, LOCK, LOCK, false, false},
	{"refresh-system", SYSTEM, 0, 0, SYSTEM, SYSTEM, false, false},
	{"refresh-all", GIT | LOCK | SYSTEM, 0, 0, 0, GIT | LOCK | SYSTEM, false, false},
};

static const char *const kind_names[] = {
	[COMPARTMENT_GIT] = "git",
	[COMPARTMENT_LOCK] = "lock",
	[COMPARTMENT_SYSTEM] = "system",
	[COMPARTMENT_TESTS] = "tests",
};

static const struct effect *find_effect(struct text command)
{
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		if (text_is(command, effects[i].command))
			return &effects[i];
	}
	return NULL;
}

bool compartments_moves_lock(struct text command)
{
	const struct effect *effect = find_effect(command);
	return effect && effect->moves_lock;
}

bool compartments_switches(struct text command)
{
	const struct effect *effect = find_effect(command);
	return effect && effect->switches;
}

static void set(
	struct compartment *compartment, enum update status, struct text message, int64_t wall_ms)
{
	compartment->status = status;
	compartment->wall_ms = wall_ms;
	text_copy(message, compartment->message, sizeof(compartment->message));
}

/* `after switch`, where the command itself said nothing. */
static void set_after(struct compartment *compartment, enum update status,
	const struct compartments_result *result, struct text said)
{
	static const char after[] = "after ";
	char message[sizeof(after) + COMMAND_BYTES_MAX];
	memcpy(message, after, sizeof(after) - 1);
	text_copy(result->command, message + sizeof(after) - 1, COMMAND_BYTES_MAX + 1);
	set(compartment, status, said.size ? said : text_of(message), result->wall_ms);
}

/* A command that ended without saying anything of this one leaves what was said before. */
static void restore(struct compartment *compartment)
{
	if (compartment->status == UPDATE_WORKING)
		compartment->status = compartment->before;
}

void compartments_started(struct compartments *compartments, struct text command)
{
	const struct effect *effect = find_effect(command);
	for (uint32_t i = 0; effect && i < COMPARTMENT_COUNT; i++) {
		struct compartment *compartment = &compartments->list[i];
		if (!(effect->works & BIT(i)) || compartment->status == UPDATE_WORKING)
			continue;
		compartment->before = compartment->status;
		compartment->status = UPDATE_WORKING;
	}
}

/* Where in a summary of several (`git: ok: up to date; lock: …`) this one's part is. */
static struct text part_of(struct text summary, const char *name)
{
	size_t size = strlen(name);
	for (uint32_t at = 0; at + size + 2 <= summary.size;) {
		const char *start = summary.data + at;
		const char *end = memchr(start, ';', summary.size - at);
		uint32_t bytes = end ? (uint32_t)(end - start) : summary.size - at;
		if (bytes >= size + 2 && memcmp(start, name, size) == 0 && start[size] == ':')
			return (struct text){start + size + 2, bytes - (uint32_t)size - 2};
		at += bytes + 1;
		while (at < summary.size && summary.data[at] == ' ')
			at++;
	}
	return TEXT_NONE;
}

/* `outdated: 3 commits behind`: the word, and what follows it. */
static void answer(struct compartment *compartment, struct text said, int64_t wall_ms)
{
	static const struct {
		const char *word;
		enum update status;
	} words[] = {{"ok", UPDATE_OK}, {"outdated", UPDATE_OUTDATED}, {"error", UPDATE_ERROR}};
	restore(compartment);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint32_t size = (uint32_t)strlen(words[i].word);
		if (said.size < size || memcmp(said.data, words[i].word, size) != 0)
			continue;
		struct text rest = {said.data + size, said.size - size};
		while (rest.size > 0 && (*rest.data == ':' || *rest.data == ' '))
			rest = (struct text){rest.data + 1, rest.size - 1};
		set(compartment, words[i].status, rest, wall_ms);
		return;
	}
}

static void went_well(struct compartments *compartments, const struct effect *effect,
	const struct compartments_result *result)
{
	for (uint32_t i = 0; i < COMPARTMENT_COUNT; i++) {
		struct compartment *compartment = &compartments->list[i];
		struct text part = result->summary;
		if (effect->answers & (effect->answers - 1)) /* more than one */
			part = part_of(result->summary, kind_names[i]);
		if (effect->answers & BIT(i))
			answer(compartment, part, result->wall_ms);
		else if (effect->good & BIT(i))
			set_after(compartment, UPDATE_OK, result, result->summary);
		else if ((effect->outdates & BIT(i)) &&
			 (i != COMPARTMENT_TESTS || compartment->status != UPDATE_UNKNOWN))
			set_after(compartment, UPDATE_OUTDATED, result, TEXT_NONE);
		else if (effect->works & BIT(i))
			restore(compartment);
	}
	if (effect->good & LOCK)
		compartments->lock_updated_ms = result->wall_ms;
}

void compartments_ended(struct compartments *compartments, const struct compartments_result *result)
{
	const struct effect *effect = find_effect(result->command);
	bool is_good = result->outcome == OUTCOME_EXITED && result->code == 0;
	if (!effect)
		return;
	if (is_good) {
		went_well(compartments, effect, result);
		return;
	}
	for (uint32_t i = 0; i < COMPARTMENT_COUNT; i++) {
		struct compartment *compartment = &compartments->list[i];
		/* What was refused did nothing. */
		if ((effect->bad & BIT(i)) && result->outcome != OUTCOME_REFUSED)
			set(compartment, UPDATE_ERROR,
				i == COMPARTMENT_TESTS && result->summary.size ? result->summary
									       : result->reason,
				result->wall_ms);
		else if (effect->works & BIT(i))
			restore(compartment);
	}
}

static uint32_t put_number(char *to, uint64_t number)
{
	char digits[20];
	uint32_t count = 0, size = 0;
	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (count > 0)
		to[size++] = digits[--count];
	return size;
}

void compartments_lock(struct compartments *compartments, int64_t commit_s, int64_t now_wall_ms)
{
	static const char tail[] = " days old";
	char message[48];
	int64_t updated_s = compartments->lock_updated_ms / 1000;
	int64_t then_s = commit_s > updated_s ? commit_s : updated_s;
	int64_t age_s = now_wall_ms / 1000 - then_s;
	if (age_s < 0)
		age_s = 0;
	uint32_t size = put_number(message, (uint64_t)age_s / 86400);
	memcpy(message + size, tail, sizeof(tail));
	set(&compartments->list[COMPARTMENT_LOCK],
		age_s <= LOCK_FRESH_S ? UPDATE_OK : UPDATE_OUTDATED, text_of(message), now_wall_ms);
}
