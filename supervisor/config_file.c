/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/config_file.h"

#include <ctype.h>
#include <string.h>

#include "proto/base/check.h"

struct reader {
	const char *at;
	const char *end;
	uint32_t line;
};

void config_file_init(struct config_file *file, uint32_t size_max)
{
	*file = (struct config_file){0};
	bytes_init(&file->text, size_max);
}

void config_file_finish(struct config_file *file)
{
	bytes_finish(&file->text);
}

static int read_char(struct reader *reader)
{
	if (reader->at == reader->end)
		return -1;
	char byte = *reader->at++;
	if (byte == '\n')
		reader->line++;
	return (unsigned char)byte;
}

static int peek(const struct reader *reader)
{
	return reader->at == reader->end ? -1 : (unsigned char)*reader->at;
}

static void skip_line(struct reader *reader)
{
	int byte;
	while ((byte = read_char(reader)) >= 0 && byte != '\n')
		;
}

static bool put(struct config_file *file, int byte)
{
	char one = (char)byte;
	return byte != 0 && bytes_append(&file->text, &one, 1) == 0;
}

static bool read_key(struct reader *reader, struct config_file *file)
{
	uint32_t start = file->text.size;
	int byte;
	while ((byte = read_char(reader)) >= 0 && (isalnum(byte) || byte == '_')) {
		if (!put(file, byte))
			return false;
	}
	return byte == '=' && file->text.size > start && bytes_append(&file->text, "", 1) == 0;
}

/* Inside quotes a newline belongs to the value. In double ones a backslash takes what means
 * something there as it is and a newline away; before anything else it is itself. */
static bool read_quoted(struct reader *reader, struct config_file *file, int quote)
{
	int byte;
	while ((byte = read_char(reader)) >= 0 && byte != quote) {
		if (byte == '\\' && quote == '"') {
			int next = read_char(reader);
			if (next < 0)
				return false;
			if (next == '\n')
				continue;
			if (!strchr("\"\\`$", next) && !put(file, byte))
				return false;
			byte = next;
		}
		if (!put(file, byte))
			return false;
	}
	return byte == quote;
}

static void skip_blanks(struct reader *reader)
{
	while (peek(reader) == ' ' || peek(reader) == '\t')
		read_char(reader);
}

/* Quotes mean something before the first character outside of them; later they are characters. */
static bool read_value(struct reader *reader, struct config_file *file)
{
	uint32_t solid = file->text.size; /* white space after this is not part of the value */
	bool is_plain = false;
	int byte;
	skip_blanks(reader);
	while ((byte = read_char(reader)) >= 0 && byte != '\n') {
		bool is_escaped = byte == '\\';
		if (!is_plain && (byte == '"' || byte == '\'')) {
			if (!read_quoted(reader, file, byte))
				return false;
			solid = file->text.size;
			skip_blanks(reader);
			continue;
		}
		if (byte == '\r' && (peek(reader) == '\n' || peek(reader) < 0))
			continue;
		is_plain = true;
		if (is_escaped && (byte = read_char(reader)) < 0)
			return false;
		if (is_escaped && byte == '\n')
			continue;
		if (!put(file, byte))
			return false;
		if (is_escaped || (byte != ' ' && byte != '\t'))
			solid = file->text.size;
	}
	file->text.size = solid;
	return bytes_append(&file->text, "", 1) == 0;
}

uint32_t config_file_parse(struct config_file *file, struct text content)
{
	struct reader reader = {content.data, content.data + content.size, 1};
	while (reader.at < reader.end) {
		int byte = peek(&reader);
		if (isspace(byte)) {
			read_char(&reader);
			continue;
		}
		if (byte == '#' || byte == ';') {
			skip_line(&reader);
			continue;
		}
		uint32_t line = reader.line;
		if (file->key_count == CONFIG_FILE_KEYS_MAX || !read_key(&reader, file) ||
			!read_value(&reader, file))
			return line;
		file->key_count++;
	}
	return 0;
}

void config_file_restore(struct config_file *file, struct text parsed)
{
	uint32_t strings = 0;
	check(bytes_append(&file->text, parsed.data, parsed.size) == 0);
	for (uint32_t i = 0; i < parsed.size; i++)
		strings += parsed.data[i] == '\0';
	file->key_count = strings / 2;
}

const char *config_file_get(const struct config_file *file, const char *key)
{
	const char *found = NULL;
	const char *at = (const char *)file->text.data;
	for (uint32_t i = 0; i < file->key_count; i++) {
		const char *value = at + strlen(at) + 1;
		if (strcmp(at, key) == 0)
			found = value;
		at = value + strlen(value) + 1;
	}
	return found;
}
