/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nixfleet-worker --probe: can the dashboard be reached at all? Resolves and connects, no more. */
#pragma once

/* 0, or 1 with one line on standard output. */
int probe_url(const char *url);
