/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

#define BYTES_FIRST_ROOM 64u

void bytes_init(struct bytes *bytes, uint32_t size_max)
{
	check(size_max > 0);
	*bytes = (struct bytes){.size_max = size_max};
}

void bytes_finish(struct bytes *bytes)
{
	free(bytes->data);
	bytes->data = NULL;
	bytes->size = bytes->room = 0;
}

void bytes_clear(struct bytes *bytes)
{
	bytes->size = 0;
}

uint8_t *bytes_reserve(struct bytes *bytes, uint32_t size)
{
	check(bytes->size <= bytes->size_max);
	if (size > bytes->size_max - bytes->size) {
		errno = EMSGSIZE;
		return NULL;
	}
	uint32_t wanted = bytes->size + size;
	if (wanted > bytes->room || !bytes->data) {
		uint32_t room = bytes->room ? bytes->room : BYTES_FIRST_ROOM;
		while (room < wanted)
			room = room > UINT32_MAX / 2 ? UINT32_MAX : room * 2;
		if (room > bytes->size_max)
			room = bytes->size_max;
		uint8_t *data = realloc(bytes->data, room);
		if (!data) {
			errno = ENOMEM;
			return NULL;
		}
		bytes->data = data;
		bytes->room = room;
	}
	return bytes->data + bytes->size;
}

void bytes_grew(struct bytes *bytes, uint32_t size)
{
	check(size <= bytes->room - bytes->size);
	bytes->size += size;
}

int bytes_append(struct bytes *bytes, const void *data, uint32_t size)
{
	uint8_t *to = bytes_reserve(bytes, size);
	if (!to)
		return -1;
	if (size > 0)
		memcpy(to, data, size);
	bytes->size += size;
	return 0;
}

int bytes_append_text(struct bytes *bytes, const char *text)
{
	size_t size = strlen(text);
	if (size > UINT32_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	return bytes_append(bytes, text, (uint32_t)size);
}

int bytes_printf(struct bytes *bytes, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = NULL;
	int size = vasprintf(&text, format, args);
	va_end(args);
	if (size < 0) {
		errno = ENOMEM;
		return -1;
	}
	int done = bytes_append(bytes, text, (uint32_t)size);
	free(text);
	return done;
}

void bytes_drop(struct bytes *bytes, uint32_t size)
{
	check(size <= bytes->size);
	if (size == 0)
		return;
	bytes->size -= size;
	memmove(bytes->data, bytes->data + size, bytes->size);
}

void bytes_wipe(void *data, size_t size)
{
	volatile uint8_t *at = data;
	for (size_t i = 0; i < size; i++)
		at[i] = 0;
}

struct text text_of(const char *string)
{
	size_t size = strlen(string);
	check(size <= UINT32_MAX);
	return (struct text){string, (uint32_t)size};
}

bool text_is(struct text text, const char *string)
{
	return strlen(string) == text.size && memcmp(text.data, string, text.size) == 0;
}

bool text_copy(struct text text, char *to, uint32_t room)
{
	check(room > 0);
	uint32_t size = text.size < room ? text.size : room - 1;
	if (size > 0)
		memcpy(to, text.data, size);
	to[size] = '\0';
	return size == text.size && strlen(to) == size;
}
