/* SPDX-License-Identifier: MIT */
/* What test_local_unload.c and its plugin know of each other. */
#ifndef HOCKET_TESTS_PLUGIN_LOCAL_H
#define HOCKET_TESTS_PLUGIN_LOCAL_H

struct plugin_counts {
    int made;
    int dropped;
};

/* Builds the calling thread's object, and counts there; NULL if it cannot. */
void *plugin_use(struct plugin_counts *where);

#endif
