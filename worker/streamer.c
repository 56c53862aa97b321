/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/streamer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <event2/event.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "worker/outgoing.h"
#include "worker/run_file.h"
#include "worker/tail.h"

/* Frames a turn at the most: what came on the socket meanwhile is not kept waiting. */
#define STREAMER_FRAMES_A_TURN 32

void streamer_init(struct streamer *streamer, const char *runs_dir)
{
	*streamer = (struct streamer){
		.runs_dir = runs_dir, .watch = {-1, -1}, .reader = {.fd = -1}, .due = MONO_NEVER};
	bytes_init(&streamer->message, STREAMER_LINE_BYTES_MAX * 8);
	for (int i = 0; i <= STREAM_RUNNER; i++)
		bytes_init(&streamer->lines[i].text, STREAMER_LINE_BYTES_MAX);
}

static void on_change(evutil_socket_t fd, short what, void *data)
{
	struct streamer *streamer = data;
	(void)fd;
	(void)what;
	streamer->is_ready = true;
}

static bool open_output(struct streamer *streamer, struct event_base *base)
{
	char path[PATH_BYTES_MAX + RUN_NAME_BYTES_MAX + 16];
	struct text run = text_of(streamer->run);
	streamer->reader.fd = run_file_open(streamer->runs_dir, run, ".out");
	if (streamer->reader.fd < 0)
		return false; /* not yet, or there is none: looked for again */
	if (run_file_path(streamer->runs_dir, run, ".out", path, sizeof(path)) &&
		platform_watch_open(&streamer->watch, path) == 0)
		streamer->event = event_new(
			base, streamer->watch.fd, EV_READ | EV_PERSIST, on_change, streamer);
	if (streamer->event)
		event_add(streamer->event, NULL);
	return true;
}

static bool say_line(struct streamer *streamer, struct websocket *websocket, struct text line,
	uint64_t stream, bool is_error)
{
	return outgoing_line(line, stream == STREAM_STDERR ? "stderr" : "stdout", streamer->command,
		       is_error, &streamer->message) == 0 &&
	       websocket_say(websocket,
		       (struct text){(const char *)streamer->message.data, streamer->message.size});
}

static void say_left_out(struct streamer *streamer, struct websocket *websocket, uint64_t bytes)
{
	struct bytes line;
	bytes_init(&line, SHORT_TEXT_BYTES_MAX);
	bytes_printf(&line, "[%" PRIu64 " bytes of output are left out]", bytes);
	say_line(streamer, websocket, (struct text){(const char *)line.data, line.size},
		STREAM_RUNNER, false);
	bytes_finish(&line);
}

/* Of a long backlog only the newest is sent, from a whole frame on. */
static void cut_backlog(struct streamer *streamer, struct websocket *websocket)
{
	struct stat stat;
	uint64_t offset = streamer->reader.offset;
	if (fstat(streamer->reader.fd, &stat) < 0 ||
		(uint64_t)stat.st_size < offset + STREAMER_BACKLOG_BYTES)
		return;
	uint64_t from = tail_find(
		streamer->reader.fd, (uint64_t)stat.st_size - STREAMER_NEWEST_BYTES);
	if (from <= offset)
		return;
	say_left_out(streamer, websocket, from - offset);
	streamer->reader.offset = from;
}

/* Red on the page are the lines that say so themselves: nix writes all it does to stderr. */
static bool is_error_line(struct text line)
{
	static const char *const words[] = {"error:", "fatal:", "error (", "failed:"};
	for (uint32_t skipped = 0; line.size > 0 && *line.data == 0x1b && skipped < 4; skipped++) {
		const char *end = memchr(line.data, 'm', line.size);
		if (!end)
			break;
		line.size -= (uint32_t)(end + 1 - line.data);
		line.data = end + 1;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (line.size >= strlen(words[i]) &&
			strncasecmp(line.data, words[i], strlen(words[i])) == 0)
			return true;
	}
	return false;
}

static void send_line(
	struct streamer *streamer, struct websocket *websocket, uint64_t stream, struct text line)
{
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	say_line(streamer, websocket, line, stream, is_error_line(line));
}

static void flush_line(struct streamer *streamer, struct websocket *websocket, uint64_t stream)
{
	struct bytes *text = &streamer->lines[stream].text;
	if (text->size == 0)
		return;
	send_line(streamer, websocket, stream, (struct text){(const char *)text->data, text->size});
	bytes_clear(text);
}

/* A piece without a line's end. What is too long for one message is cut. */
static void keep(struct streamer *streamer, struct websocket *websocket, uint64_t stream,
	struct text piece, uint64_t offset)
{
	struct streamer_line *line = &streamer->lines[stream];
	while (piece.size > 0) {
		uint32_t room = STREAMER_LINE_BYTES_MAX - line->text.size;
		uint32_t size = piece.size < room ? piece.size : room;
		if (line->text.size == 0)
			line->offset = offset;
		if (bytes_append(&line->text, piece.data, size) < 0)
			return;
		piece = (struct text){piece.data + size, piece.size - size};
		if (line->text.size == STREAMER_LINE_BYTES_MAX) {
			flush_line(streamer, websocket, stream);
			line->is_cut = true;
		}
	}
}

static bool has_room(const struct websocket *websocket)
{
	return websocket_is_open(websocket) &&
	       websocket_waiting(websocket) < WEBSOCKET_STREAM_BYTES;
}

/* False: it stopped before the end, because enough waits to be sent. A chunk of empty lines becomes
 * a hundred times as much. */
static bool send_chunk(struct streamer *streamer, struct websocket *websocket,
	const struct output_chunk *chunk, uint64_t offset)
{
	struct text left = chunk->bytes;
	struct streamer_line *line = &streamer->lines[chunk->stream];
	left.data += streamer->skip;
	left.size -= streamer->skip;
	while (left.size > 0 && has_room(websocket)) {
		const char *end = memchr(left.data, '\n', left.size);
		uint32_t size = end ? (uint32_t)(end - left.data) : left.size;
		struct text piece = {left.data, size};
		if (!end || line->text.size > 0 || line->is_cut)
			keep(streamer, websocket, chunk->stream, piece, offset);
		else
			send_line(streamer, websocket, chunk->stream, piece);
		if (end) {
			flush_line(streamer, websocket, chunk->stream);
			line->is_cut = false;
		}
		left.data += size + (end != NULL);
		left.size -= size + (end != NULL);
	}
	streamer->skip = left.size > 0 ? chunk->bytes.size - left.size : 0;
	return left.size == 0;
}

static bool send_frame(struct streamer *streamer, struct websocket *websocket,
	const struct output *output, uint64_t offset)
{
	switch (output->type) {
	case OUTPUT_CHUNK: return send_chunk(streamer, websocket, &output->chunk, offset);
	case OUTPUT_SKIPPED: say_left_out(streamer, websocket, output->skipped.bytes); return true;
	}
	return true;
}

void streamer_start(struct streamer *streamer, struct event_base *base,
	const struct agent_action_stream *stream, struct mono now, struct websocket *websocket)
{
	bool is_same = streamer->is_on && text_is(stream->run, streamer->run);
	streamer->is_ended = stream->ended;
	streamer->due = now;
	if (is_same)
		return;
	streamer_stop(streamer, NULL);
	streamer->is_on = true;
	streamer->is_told = streamer->is_noted = false;
	streamer->is_ended = stream->ended;
	streamer->due = now;
	text_copy(stream->run, streamer->run, sizeof(streamer->run));
	text_copy(stream->command, streamer->command, sizeof(streamer->command));
	output_reader_init(&streamer->reader, -1, stream->offset);
	streamer->skip = 0;
	if (open_output(streamer, base))
		cut_backlog(streamer, websocket);
}

void streamer_stop(struct streamer *streamer, struct websocket *websocket)
{
	struct stat stat;
	uint64_t offset = streamer->reader.offset;
	if (!streamer->is_on)
		return;
	for (uint64_t i = 0; i <= STREAM_RUNNER; i++) {
		if (websocket && streamer->is_ended)
			flush_line(streamer, websocket, i);
		bytes_finish(&streamer->lines[i].text);
		streamer->lines[i].is_cut = false;
	}
	if (websocket && streamer->is_ended && !streamer->is_told && streamer->reader.fd >= 0 &&
		fstat(streamer->reader.fd, &stat) == 0 && (uint64_t)stat.st_size > offset)
		say_left_out(streamer, websocket, (uint64_t)stat.st_size - offset);
	if (streamer->event)
		event_free(streamer->event);
	streamer->event = NULL;
	platform_watch_close(&streamer->watch);
	fd_drop(&streamer->reader.fd);
	bytes_finish(&streamer->message);
	streamer->is_on = streamer->is_ready = false;
	streamer->due = MONO_NEVER;
}

static void tell(struct streamer *streamer, struct websocket *websocket, struct inbox *inbox)
{
	if (!streamer->is_ended || streamer->is_told)
		return;
	for (uint64_t i = 0; i <= STREAM_RUNNER; i++)
		flush_line(streamer, websocket, i);
	streamer->is_told = true;
	inbox_add(inbox, &(struct agent_event){
				 .type = EVENT_STREAMED, .streamed = {text_of(streamer->run)}});
}

static void note(struct streamer *streamer, struct inbox *inbox)
{
	if (streamer->is_noted)
		return;
	streamer->is_noted = true;
	inbox_add(inbox,
		&(struct agent_event){.type = EVENT_OUTPUT, .output = {text_of(streamer->run)}});
}

/* False: nothing more is there now. */
static bool send_next(struct streamer *streamer, struct websocket *websocket, struct inbox *inbox)
{
	struct output output;
	uint64_t offset = streamer->reader.offset;
	switch (output_reader_next(&streamer->reader, &output)) {
	case OUTPUT_READ:
		/* What was not all sent is read again. */
		if (!send_frame(streamer, websocket, &output, offset))
			streamer->reader.offset = offset;
		note(streamer, inbox);
		return true;
	case OUTPUT_WAITS:
	case OUTPUT_BAD:
	case OUTPUT_FAILED: break;
	}
	tell(streamer, websocket, inbox);
	return false;
}

void streamer_work(struct streamer *streamer, struct mono now, struct event_base *base,
	struct websocket *websocket, struct inbox *inbox)
{
	if (!streamer->is_on || (!streamer->is_ready && !mono_reached(now, streamer->due)))
		return;
	if (streamer->is_ready)
		platform_watch_drain(&streamer->watch);
	streamer->is_ready = false;
	streamer->due = mono_after(now, RECORD_LOOK_MS);
	if (streamer->reader.fd < 0 && !open_output(streamer, base)) {
		tell(streamer, websocket, inbox);
		return;
	}
	for (int i = 0; i < STREAMER_FRAMES_A_TURN; i++) {
		if (!has_room(websocket) || !inbox_has_room(inbox))
			break;
		if (!send_next(streamer, websocket, inbox))
			return;
	}
	streamer->is_ready = true; /* there may be more: as soon as there is room */
}

struct mono streamer_due(const struct streamer *streamer, const struct websocket *websocket)
{
	if (!streamer->is_on)
		return MONO_NEVER;
	if (streamer->is_ready && has_room(websocket))
		return (struct mono){0};
	return streamer->due;
}

uint64_t streamer_pinged(struct streamer *streamer)
{
	streamer->is_noted = false;
	uint64_t offset = streamer->is_on ? streamer->reader.offset : 0;
	for (uint64_t i = 0; i <= STREAM_RUNNER; i++) {
		const struct streamer_line *line = &streamer->lines[i];
		if (line->text.size > 0 && line->offset < offset)
			offset = line->offset;
	}
	return offset;
}
