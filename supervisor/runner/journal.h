/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The runner's side of the record: taking it, `started`, `result`, and telling the supervisor. */
#pragma once

#include "supervisor/runner/run.h"

/* Opens and locks the record, makes output file and FIFO, writes `started` durably and reports it.
 * -1 after a log line: nothing was started, and nothing may be. */
int journal_open(struct run *run);
/* Writes the result durably and reports it; on a sick disk waits until disk or supervisor has it.
 */
void journal_close(struct run *run);
