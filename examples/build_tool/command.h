/* SPDX-License-Identifier: MIT */
/* One command of the shell, run inside a task: it ends when the task should stop. */
#ifndef HOCKET_EXAMPLES_BUILD_TOOL_COMMAND_H
#define HOCKET_EXAMPLES_BUILD_TOOL_COMMAND_H

#include <hocket/hocket.h>

/*
 * Returns HK_OK with what waitpid() said, HK_ECANCELED if it was stopped, or a failure. What
 * the command wrote goes to standard output in one piece, at its end.
 */
hk_status command_run(hk_call *call, const char *command, int *wait_status);

#endif
