/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The dashboard of the WebSocket protocol: acts on the frames of a connection in their order,
 * tracks the command it sent last, and is thrown off by what protocol.md says it is thrown off by.
 */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/terms.h"
#include "tests/sim/sim.h"

/* The words of update_status, as worker/core/words.h numbers them. */
enum {
	SAYS_UNKNOWN,
	SAYS_OK,
	SAYS_OUTDATED,
	SAYS_ERROR
};
enum {
	GIT,
	LOCK,
	SYSTEM,
	TESTS,
	PARTS
};

struct sim_session {
	uint64_t wire; /* the connection that counts; 0: none yet */
	bool is_gone;  /* it saw that one end */
	bool is_beaten, needs_beat, awaits_reconnect;
	uint64_t beaten_at;
	uint64_t tracked, tracked_wire; /* the command it waits for; 0: none */
	char tracked_command[COMMAND_BYTES_MAX + 1];
	uint8_t compartments[PARTS];
	uint64_t told_ticket, kill_ticket; /* what the worker was told, before the last kill */
	uint64_t leaves;                   /* the incarnation that must end; 0: none */
};

struct sim_session *session_create(void)
{
	struct sim_session *session = calloc(1, sizeof(*session));
	check(session != NULL);
	return session;
}

/* ---- people ---- */

static bool is_kill(const char *command)
{
	return strcmp(command, "kill") == 0 || strcmp(command, "stop") == 0;
}

bool session_press(struct sim *sim, const char *command, bool is_careful)
{
	struct sim_session *session = sim->session;
	struct wire_frame frame = {.kind = FRAME_COMMAND};
	if (session->wire == 0 || session->is_gone ||
		(is_careful && session->tracked && !is_kill(command)))
		return false;
	text_copy(text_of(command), frame.command, sizeof(frame.command));
	if (!is_kill(command)) {
		sim->counts.commands++;
		frame.ticket = session->tracked = dashboard_next_ticket(sim);
		session->tracked_wire = session->wire;
		memcpy(session->tracked_command, frame.command, sizeof(frame.command));
	}
	wire_answer(sim, session->wire, &frame);
	return true;
}

static void on_press(struct sim *sim, struct sim_timer *timer)
{
	static const char *const names[] = {"pull", "switch", "pull-switch", "test", "update",
		"restart", "reboot", "rollback", "dance", "kill", "stop", "pull", "switch", "test",
		"kill"};
	if (sim->is_calm)
		return;
	const char *name = names[sim_random(sim, sizeof(names) / sizeof(names[0]))];
	if (sim_random(sim, 20) == 0 && !sim->session->is_gone)
		wire_answer(sim, sim->session->wire,
			&(struct wire_frame){
				.kind = FRAME_KILL, .is_hard = sim_random(sim, 2) == 0});
	else
		session_press(sim, name, sim_random(sim, 4) != 0);
	/* Sometimes at once once more. */
	sim_after(sim, sim_random(sim, sim_random(sim, 5) ? 150 * NS_PER_S : 300 * NS_PER_MS),
		*timer);
}

void session_begin(struct sim *sim)
{
	sim_after(sim, NS_PER_S, (struct sim_timer){.fire = on_press});
}

/* ---- kills ---- */

void session_note_told(struct sim *sim, uint64_t ticket)
{
	sim->session->told_ticket = ticket;
}

void session_note_kill(struct sim *sim)
{
	struct file *only = NULL;
	uint32_t count = 0;
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		struct file *file = sim->disk.files[i];
		if (file->truth.ended_at || !file->is_there)
			continue;
		file->truth.may_end = true;
		only = file;
		count++;
	}
	sim->session->kill_ticket = sim->session->told_ticket;
	if (count != 1 || !sim->is_websocket)
		return;
	/* What somebody asked for here and did not start yet, the dashboard never heard of. */
	if (only->truth.ticket == 0 && only->truth.executions == 0)
		return;
	only->truth.killed_at = sim->now;
	only->truth.killed_life = worker_process_life(sim);
	only->truth.killed_freezes = sim->counts.freezes;
}

bool session_may_end(const struct sim *sim, uint64_t ticket)
{
	return ticket && ticket <= sim->session->kill_ticket;
}

/* ---- frames ---- */

static struct file *file_of(struct sim *sim, const struct wire_frame *frame)
{
	struct file *file = disk_find(&sim->disk, frame->run);
	sim_check(sim, file != NULL, "there never was such a run: %s", frame->run);
	return file;
}

static void on_register(struct sim *sim, const struct wire_frame *frame)
{
	struct sim_session *session = sim->session;
	bool leaves = strcmp(session->tracked_command, "restart") == 0 ||
		      strcmp(session->tracked_command, "reboot") == 0;
	sim_trace(sim, "dashboard: registered over connection %u", (unsigned)frame->wire);
	session->wire = frame->wire;
	session->is_gone = session->is_beaten = false;
	session->needs_beat = session->awaits_reconnect = false;
	if (!leaves)
		session->tracked = 0;
	if (session->leaves && session->leaves < supervisor_incarnation(sim))
		session->leaves = 0;
	dashboard_note_registration(sim);
	wire_answer(sim, frame->wire, &(struct wire_frame){.kind = FRAME_REGISTERED});
}

static void on_beat(struct sim *sim, const struct wire_frame *frame)
{
	sim->session->is_beaten = true;
	sim->session->beaten_at = sim->now;
	sim->session->needs_beat = false;
	memcpy(sim->session->compartments, frame->compartments, PARTS);
}

/* All of the output stands before it, or was said to be left out. */
static void check_output_is_whole(struct sim *sim, const struct file *file)
{
	const struct truth *truth = &file->truth;
	if (truth->sends > 1 || truth->is_withheld || truth->executions == 0)
		return;
	sim_check(sim, truth->output_told >= truth_output(sim, truth),
		"the status of %s stands before its output (%u of %u bytes)", file->name,
		(unsigned)truth->output_told, (unsigned)truth_output(sim, truth));
}

static void on_status(struct sim *sim, const struct wire_frame *frame)
{
	struct sim_session *session = sim->session;
	bool is_good = frame->outcome == OUTCOME_EXITED && frame->code == 0;
	sim_check(sim, !session->needs_beat,
		"a status of %s before the heartbeat that an exit 0 needs", frame->command);
	sim_check(sim, !is_good || !session->awaits_reconnect,
		"an exit 0 of %s while a switch waits for a reconnect", frame->command);
	session->needs_beat = is_good;
	if (!frame->run[0]) {
		if (!is_kill(frame->command))
			session->tracked = 0;
		return;
	}
	struct file *file = file_of(sim, frame);
	dashboard_takes(sim, file, frame->outcome, frame->code, false);
	check_output_is_whole(sim, file);
	file->truth.status_wire = frame->wire;
	if (session->tracked != file->truth.ticket)
		return;
	session->awaits_reconnect = is_good && strcmp(session->tracked_command, "switch") == 0 &&
				    session->tracked_wire == frame->wire;
	session->tracked = 0;
}

static void on_rejected(struct sim *sim, const struct wire_frame *frame)
{
	bool is_true = false;
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		const struct truth *truth = &sim->disk.files[i]->truth;
		is_true |= truth->ticket && truth->is_refused && !truth_is_known_told(sim, truth);
	}
	sim_check(sim, is_true, "command_rejected though nothing was refused");
	sim_check(sim, frame->command[0], "command_rejected names no command");
	sim->session->tracked = 0;
}

static void on_output(struct sim *sim, const struct wire_frame *frame)
{
	struct file *file = file_of(sim, frame);
	struct truth *truth = &file->truth;
	sim_check(sim, truth->status_wire != frame->wire, "output of %s after its status",
		file->name);
	sim_check(sim, frame->from <= truth->output_told,
		"output of %s is missing: it has %u bytes, the next begin at %u", file->name,
		(unsigned)truth->output_told, (unsigned)frame->from);
	sim_check(sim, frame->to <= truth_output(sim, truth), "output of %s that is not there",
		file->name);
	if (frame->to > truth->output_told)
		truth->output_told = frame->to;
}

static void on_frame(struct sim *sim, const struct wire_frame *frame)
{
	switch ((int)frame->kind) {
	case FRAME_BEAT: on_beat(sim, frame); break;
	case FRAME_STATUS: on_status(sim, frame); break;
	case FRAME_REJECTED: on_rejected(sim, frame); break;
	case FRAME_OUTPUT:
	case FRAME_LEFT_OUT: on_output(sim, frame); break;
	case FRAME_PROGRESS:
		sim_check(sim, frame->sequence <= frame->total, "progress beyond its end");
		break;
	case FRAME_LINE: break;
	case FRAME_PING:
		wire_answer(sim, frame->wire,
			&(struct wire_frame){.kind = FRAME_PONG, .sequence = frame->sequence});
		break;
	default: sim_fail(sim, "a frame of the dashboard's own comes back");
	}
}

void session_heard(struct sim *sim, const struct wire_frame *frame)
{
	struct sim_session *session = sim->session;
	if (frame->wire < session->wire)
		return; /* replaced by the one that came after it */
	if (frame->wire > session->wire || frame->kind == FRAME_REGISTER) {
		sim_check(sim, frame->kind == FRAME_REGISTER, "a frame before register");
		sim_check(sim, frame->wire > session->wire, "registered twice");
		on_register(sim, frame);
		return;
	}
	sim_check(sim, session->is_beaten || frame->kind == FRAME_BEAT || frame->kind == FRAME_PING,
		"frame %d before the first heartbeat", (int)frame->kind);
	on_frame(sim, frame);
}

void session_lost(struct sim *sim, uint64_t number)
{
	if (sim->session->wire == number)
		sim->session->is_gone = true;
}

/* ---- the end ---- */

bool file_is_good_switch(struct file *file)
{
	const struct record *record = disk_read(file);
	bool switches = strcmp(record->command, "switch") == 0 ||
			strcmp(record->command, "rollback") == 0 ||
			strcmp(record->command, "pull-switch") == 0;
	return switches && record->outcome == OUTCOME_EXITED && record->code == 0;
}

void session_expect_leave(struct sim *sim, struct file *file, uint64_t incarnation)
{
	if (sim->is_websocket && incarnation == supervisor_incarnation(sim) &&
		file_is_good_switch(file))
		sim->session->leaves = incarnation;
}

bool session_is_quiet(const struct sim *sim)
{
	const struct sim_session *session = sim->session;
	if (sim->frozen_worker > sim->now || sim->frozen_supervisor > sim->now ||
		session->beaten_at <= sim->told_end_at + NS_PER_S)
		return false;
	return session->wire == sim->wires.last && !session->is_gone && session->is_beaten &&
	       !session->needs_beat && !session->awaits_reconnect && session->leaves == 0;
}

/* What one more end of a command makes of the compartments; those it says nothing of stay. */
static void note_end(uint8_t says[PARTS], const struct record *record)
{
	const char *command = record->command;
	bool is_good = record->outcome == OUTCOME_EXITED && record->code == 0;
	bool pulls = strcmp(command, "pull") == 0 || strcmp(command, "pull-switch") == 0;
	bool switches = strcmp(command, "switch") == 0 || strcmp(command, "rollback") == 0 ||
			strcmp(command, "pull-switch") == 0;
	if (pulls && (is_good || !switches))
		says[GIT] = is_good ? SAYS_OK : SAYS_ERROR;
	if ((pulls || strcmp(command, "update") == 0) && is_good)
		says[SYSTEM] = SAYS_OUTDATED;
	if (switches)
		says[SYSTEM] = is_good ? SAYS_OK : SAYS_ERROR;
	if (switches && is_good && says[TESTS] != SAYS_UNKNOWN)
		says[TESTS] = SAYS_OUTDATED;
	if (strcmp(command, "test") == 0)
		says[TESTS] = is_good ? SAYS_OK : SAYS_ERROR;
}

/* It ended, and had begun. */
static bool is_end(const struct record *record)
{
	return record->state == RECORD_FINISHED && record->outcome != OUTCOME_REFUSED &&
	       (record->outcome != OUTCOME_CANCELLED || record->pid != 0);
}

/* A worker that began later knows of each command only the newest end. */
static bool is_newest(const struct sim *sim, const struct record *record)
{
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		const struct record *other = disk_read(sim->disk.files[i]);
		if (other->sequence > record->sequence && is_end(other) &&
			strcmp(other->command, record->command) == 0)
			return false;
	}
	return true;
}

static int by_sequence(const void *a, const void *b)
{
	uint64_t first = ((const struct record *)a)->sequence;
	uint64_t second = ((const struct record *)b)->sequence;
	return first < second ? -1 : first > second;
}

static void check_compartments(struct sim *sim)
{
	static struct record records[DISK_FILES_MAX];
	uint8_t all[PARTS] = {0}, newest[PARTS] = {0};
	uint32_t count = 0;
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		records[count] = *disk_read(sim->disk.files[i]);
		count += is_end(&records[count]);
	}
	qsort(records, count, sizeof(records[0]), by_sequence);
	for (uint32_t i = 0; i < count; i++) {
		note_end(all, &records[i]);
		if (is_newest(sim, &records[i]))
			note_end(newest, &records[i]);
	}
	for (uint32_t part = 0; part < PARTS; part++) {
		uint8_t says = sim->session->compartments[part];
		sim_check(sim, part == LOCK || says == all[part] || says == newest[part],
			"compartment %u says %u, and %u or %u is true", part, says, all[part],
			newest[part]);
	}
}

void session_check_end(struct sim *sim)
{
	check_compartments(sim);
}
