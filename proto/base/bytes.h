/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A growing buffer that cannot be made without its maximum. An append that would pass it changes
 * nothing and fails; so does one for which there is no memory.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *data;
	uint32_t size;
	uint32_t room;
	uint32_t size_max;
};

void bytes_init(struct bytes *bytes, uint32_t size_max);
/* Frees the content; the buffer may be used again. */
void bytes_finish(struct bytes *bytes);
/* Empties it and keeps the memory. */
void bytes_clear(struct bytes *bytes);
/* 0, or -1 with errno EMSGSIZE (over the maximum) or ENOMEM. */
int bytes_append(struct bytes *bytes, const void *data, uint32_t size);
int bytes_append_text(struct bytes *bytes, const char *text);
int bytes_printf(struct bytes *bytes, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Makes room for size more bytes and returns where they go, or NULL with errno; bytes_grew() says
 * how many of them were filled. */
uint8_t *bytes_reserve(struct bytes *bytes, uint32_t size);
void bytes_grew(struct bytes *bytes, uint32_t size);
/* Removes size bytes at the front. */
void bytes_drop(struct bytes *bytes, uint32_t size);

/* Overwrites memory that held a secret, also where nobody reads it again. */
void bytes_wipe(void *data, size_t size);

/* A lent piece of text or bytes; whoever lent it says until when it may be read. Not terminated. */
struct text {
	const char *data;
	uint32_t size;
};

/* size must fit 32 bits; a C string. */
struct text text_of(const char *string);
bool text_is(struct text text, const char *string);
/* Copies into a terminated array of room bytes; false, and as much as fits, where it is too long or
 * holds a NUL. */
bool text_copy(struct text text, char *to, uint32_t room);
#define TEXT_NONE ((struct text){"", 0})
/* For "%.*s". */
#define TEXT_ARGS(text) (int)(text).size, (text).data
