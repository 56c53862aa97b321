/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a program prints, on both streams, for so long at most. */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/time.h"

/* Appends it to bytes, which ends up full at worst. A program that is not done by then is killed,
 * and a line says so. */
void capture(const char *const argv[], struct mono until, struct bytes *bytes);
