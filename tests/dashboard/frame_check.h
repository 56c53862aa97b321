/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What must stand in each frame of the WebSocket protocol: one table row per field. */
#pragma once

#include <jansson.h>

#include "tests/dashboard/session.h"

/* Reports each field that is missing, of another type or of an illegal value. */
void frame_check(struct session *session, enum session_frame frame, const json_t *payload);
