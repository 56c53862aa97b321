/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/scan.h"

#include "proto/base/limits.h"

/* What follows a first byte: a number of length bytes, then so many bytes or values. */
enum scan_kind {
	SCAN_FIXED,
	SCAN_BYTES,
	SCAN_VALUES,
	SCAN_BAD
};

struct scan_row {
	uint8_t kind;
	uint8_t length_bytes;
	uint8_t extra; /* SCAN_FIXED: bytes that follow; SCAN_BYTES: bytes besides; SCAN_VALUES:
			  factor */
};

/* 0xc0 to 0xdf, as the msgpack specification lists them. Extension types are not ours. */
static const struct scan_row rows[32] = {
	{SCAN_FIXED, 0, 0},  /* c0 nil */
	{SCAN_BAD, 0, 0},    /* c1 never used */
	{SCAN_FIXED, 0, 0},  /* c2 false */
	{SCAN_FIXED, 0, 0},  /* c3 true */
	{SCAN_BYTES, 1, 0},  /* c4 bin 8 */
	{SCAN_BYTES, 2, 0},  /* c5 bin 16 */
	{SCAN_BYTES, 4, 0},  /* c6 bin 32 */
	{SCAN_BAD, 0, 0},    /* c7 ext 8 */
	{SCAN_BAD, 0, 0},    /* c8 ext 16 */
	{SCAN_BAD, 0, 0},    /* c9 ext 32 */
	{SCAN_FIXED, 0, 4},  /* ca float 32 */
	{SCAN_FIXED, 0, 8},  /* cb float 64 */
	{SCAN_FIXED, 0, 1},  /* cc uint 8 */
	{SCAN_FIXED, 0, 2},  /* cd uint 16 */
	{SCAN_FIXED, 0, 4},  /* ce uint 32 */
	{SCAN_FIXED, 0, 8},  /* cf uint 64 */
	{SCAN_FIXED, 0, 1},  /* d0 int 8 */
	{SCAN_FIXED, 0, 2},  /* d1 int 16 */
	{SCAN_FIXED, 0, 4},  /* d2 int 32 */
	{SCAN_FIXED, 0, 8},  /* d3 int 64 */
	{SCAN_BAD, 0, 0},    /* d4 fixext 1 */
	{SCAN_BAD, 0, 0},    /* d5 fixext 2 */
	{SCAN_BAD, 0, 0},    /* d6 fixext 4 */
	{SCAN_BAD, 0, 0},    /* d7 fixext 8 */
	{SCAN_BAD, 0, 0},    /* d8 fixext 16 */
	{SCAN_BYTES, 1, 0},  /* d9 str 8 */
	{SCAN_BYTES, 2, 0},  /* da str 16 */
	{SCAN_BYTES, 4, 0},  /* db str 32 */
	{SCAN_VALUES, 2, 1}, /* dc array 16 */
	{SCAN_VALUES, 4, 1}, /* dd array 32 */
	{SCAN_VALUES, 2, 2}, /* de map 16 */
	{SCAN_VALUES, 4, 2}, /* df map 32 */
};

struct scan {
	const uint8_t *at;
	uint64_t left;
	uint64_t pending[FRAME_DEPTH_MAX + 1]; /* values still to come at each depth */
	uint32_t depth;
};

static bool scan_skip(struct scan *scan, uint64_t bytes)
{
	if (bytes > scan->left)
		return false;
	scan->at += bytes;
	scan->left -= bytes;
	return true;
}

static bool scan_enter(struct scan *scan, uint64_t values)
{
	if (values == 0)
		return true;
	/* Each value takes one byte at least. */
	if (values > scan->left || scan->depth == FRAME_DEPTH_MAX)
		return false;
	scan->pending[++scan->depth] = values;
	return true;
}

static bool scan_row(struct scan *scan, const struct scan_row *row)
{
	uint64_t count = 0;
	if (row->length_bytes > scan->left)
		return false;
	for (uint32_t i = 0; i < row->length_bytes; i++)
		count = count << 8 | scan->at[i];
	scan_skip(scan, row->length_bytes);
	switch ((enum scan_kind)row->kind) {
	case SCAN_FIXED: return scan_skip(scan, row->extra);
	case SCAN_BYTES: return scan_skip(scan, count);
	case SCAN_VALUES: return scan_enter(scan, count * row->extra);
	case SCAN_BAD: return false;
	}
	return false;
}

static bool scan_value(struct scan *scan)
{
	if (scan->left == 0)
		return false;
	uint8_t first = *scan->at;
	scan_skip(scan, 1);
	if (first <= 0x7f || first >= 0xe0) /* small integers */
		return true;
	if (first <= 0x8f) /* fixmap */
		return scan_enter(scan, (first & 0x0fu) * 2u);
	if (first <= 0x9f) /* fixarray */
		return scan_enter(scan, first & 0x0fu);
	if (first <= 0xbf) /* fixstr */
		return scan_skip(scan, first & 0x1fu);
	return scan_row(scan, &rows[first - 0xc0]);
}

bool scan_is_one_value(struct text data)
{
	struct scan scan = {.at = (const uint8_t *)data.data, .left = data.size};
	scan.pending[0] = 1;
	for (;;) {
		while (scan.pending[scan.depth] == 0) {
			if (scan.depth == 0)
				return scan.left == 0;
			scan.depth--;
		}
		scan.pending[scan.depth]--;
		if (!scan_value(&scan))
			return false;
	}
}
