/* SPDX-License-Identifier: MIT */
/* What shall be built: targets, what they depend on, and the command that makes each. */
#ifndef HOCKET_EXAMPLES_BUILD_TOOL_GRAPH_H
#define HOCKET_EXAMPLES_BUILD_TOOL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

enum { TARGETS_MAX = 256, NEEDS_MAX = 16 };

struct target {
    char *name;
    char *command; /* For the shell; NULL if there is nothing to do. */
    size_t needs[NEEDS_MAX];
    size_t need_count;
};

/* Targets stand behind all that they need, so that one pass in order can wire them up. */
struct graph {
    struct target targets[TARGETS_MAX];
    size_t count;
};

/*
 * Reads lines of the forms "target: need need" and, begun by a tab, its command.
 * On failure text says why, with the line; the graph is to be released in any case.
 */
bool graph_parse(struct graph *graph, const char *source, char *text, size_t text_size);

void graph_release(struct graph *graph);

#endif
