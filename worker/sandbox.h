/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What this process can never do again, whatever it is made to do by what comes from the network:
 * start a program, create or write a file, signal or look into another process, change users,
 * mounts or modules. A try is answered with EPERM and reported in the log.
 */
#pragma once

#include <stdbool.h>

/* Call before the first thread; descriptors that are open stay usable. False with errno where the
 * kernel does not do it: the process goes on without. */
bool sandbox_enter(void);
