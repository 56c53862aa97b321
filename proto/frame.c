/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/frame.h"

#include "proto/base/check.h"
#include "proto/base/crc32.h"

static uint32_t u32_get(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void u32_put(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

enum frame_verdict frame_parse(const void *data, size_t size, struct frame *frame)
{
	const uint8_t *at = data;
	if (size < FRAME_HEAD_BYTES)
		return FRAME_SHORT;
	uint32_t length = u32_get(at);
	uint32_t crc = u32_get(at + 4);
	if (length == 0)
		return FRAME_END;
	if (length > FRAME_BYTES_MAX)
		return FRAME_TOO_BIG;
	if (size - FRAME_HEAD_BYTES < length)
		return FRAME_SHORT;
	if (crc32_update(0, at + FRAME_HEAD_BYTES, length) != crc)
		return FRAME_DAMAGED;
	*frame = (struct frame){
		.payload = {(const char *)at + FRAME_HEAD_BYTES, length},
		.bytes = FRAME_HEAD_BYTES + length,
	};
	return FRAME_WHOLE;
}

void frame_head(uint8_t head[FRAME_HEAD_BYTES], const void *payload, uint32_t size)
{
	check(size > 0);
	check(size <= FRAME_BYTES_MAX);
	u32_put(head, size);
	u32_put(head + 4, crc32_update(0, payload, size));
}

const char *frame_verdict_name(enum frame_verdict verdict)
{
	switch (verdict) {
	case FRAME_WHOLE: return "whole";
	case FRAME_SHORT: return "short";
	case FRAME_END: return "end";
	case FRAME_TOO_BIG: return "too big";
	case FRAME_DAMAGED: return "damaged";
	}
	return "?";
}
