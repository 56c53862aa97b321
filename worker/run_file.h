/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The files of a run, as the worker reads them. */
#pragma once

#include "proto/base/bytes.h"
#include "proto/record.h"

/* Opens <runs_dir>/<run><ending> for reading. -1 with errno: EINVAL for an illegal name. */
int run_file_open(const char *runs_dir, struct text run, const char *ending);
/* The path of the run's record; false when the name is illegal. to holds room bytes. */
bool run_file_path(
	const char *runs_dir, struct text run, const char *ending, char *to, uint32_t room);
/* 0, or -1 with errno. */
int run_file_record(const char *runs_dir, struct text run, struct record *record);
