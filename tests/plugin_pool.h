/* SPDX-License-Identifier: MIT */
#ifndef HOCKET_TESTS_PLUGIN_POOL_H
#define HOCKET_TESTS_PLUGIN_POOL_H

/* Opens an executor, runs tasks on it, and destroys it, or leaves it open with a task that never
 * ends. A status. */
int plugin_use(const char *spec, int leaves_open);

#endif
