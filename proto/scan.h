/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Walks over msgpack bytes without allocating, recursing or trusting a count. msgpack-c's unpacker
 * allocates what a header declares and follows any depth, so only what passed here is unpacked.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/bytes.h"

/* True when data is exactly one value: known types, at most FRAME_DEPTH_MAX deep, each count no
 * larger than the bytes that are left, and the last byte used up. */
bool scan_is_one_value(struct text data);
