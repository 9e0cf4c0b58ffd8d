/* SPDX-License-Identifier: MIT */
#include "graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct graph *graph;
    char *text;
    size_t text_size;
    int line;
    size_t current;                  /* The target that a command belongs to. */
    bool has_rule[TARGETS_MAX];      /* Named left of a colon; else only needed by others. */
    size_t needed_by[TARGETS_MAX];   /* Who named it first, for the message. */
    unsigned char mark[TARGETS_MAX]; /* 0: not seen, 1: on the way down, 2: placed. */
};

static bool __attribute__((format(printf, 2, 3)))
refuse(struct parser *parser, const char *format, ...)
{
    int length = snprintf(parser->text, parser->text_size, "line %d: ", parser->line);
    size_t at = length > 0 ? (size_t)length : 0;
    va_list arguments;

    if (at < parser->text_size) {
        va_start(arguments, format);
        vsnprintf(parser->text + at, parser->text_size - at, format, arguments);
        va_end(arguments);
    }
    return false;
}

static bool find_or_add(struct parser *parser, const char *name, size_t *place)
{
    struct graph *graph = parser->graph;

    for (*place = 0; *place < graph->count; ++*place) {
        if (strcmp(graph->targets[*place].name, name) == 0) {
            return true;
        }
    }
    if (graph->count == TARGETS_MAX) {
        return refuse(parser, "more than %d targets", TARGETS_MAX);
    }
    graph->targets[*place].name = strdup(name);
    if (graph->targets[*place].name == NULL) {
        return refuse(parser, "no memory");
    }
    parser->needed_by[*place] = parser->current;
    graph->count++;
    return true;
}

static bool parse_command(struct parser *parser, const char *command)
{
    struct target *target;

    if (parser->current == TARGETS_MAX) {
        return refuse(parser, "a command without a target");
    }
    target = &parser->graph->targets[parser->current];
    if (target->command != NULL) {
        return refuse(parser, "\"%s\" has a command already", target->name);
    }
    target->command = strdup(command);
    return target->command != NULL || refuse(parser, "no memory");
}

static bool parse_rule(struct parser *parser, char *line)
{
    char *colon = strchr(line, ':');
    char *rest = NULL;
    char *name;
    struct target *target;

    if (colon == NULL) {
        return refuse(parser, "expected \"target: needs\", got \"%s\"", line);
    }
    *colon = '\0';
    name = strtok_r(line, " ", &rest);
    if (name == NULL || strtok_r(NULL, " ", &rest) != NULL) {
        return refuse(parser, "expected one target before the colon");
    }
    if (!find_or_add(parser, name, &parser->current)) {
        return false;
    }
    if (parser->has_rule[parser->current]) {
        return refuse(parser, "a second rule for \"%s\"", name);
    }
    parser->has_rule[parser->current] = true;
    target = &parser->graph->targets[parser->current];
    for (name = strtok_r(colon + 1, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest)) {
        if (target->need_count == NEEDS_MAX) {
            return refuse(parser, "\"%s\" needs more than %d", target->name, NEEDS_MAX);
        }
        if (!find_or_add(parser, name, &target->needs[target->need_count])) {
            return false;
        }
        target->need_count++;
    }
    return true;
}

/* Depth first: a target is placed when all that it needs is; meeting one that is on the way
 * down is a cycle. Depth is bounded by TARGETS_MAX. */
static bool place(struct parser *parser, size_t which, size_t *order, size_t *placed)
{
    const struct target *target = &parser->graph->targets[which];

    if (!parser->has_rule[which]) {
        return refuse(parser, "no rule for \"%s\", which \"%s\" needs", target->name,
                      parser->graph->targets[parser->needed_by[which]].name);
    }
    parser->mark[which] = 1;
    for (size_t i = 0; i < target->need_count; i++) {
        size_t need = target->needs[i];

        if (parser->mark[need] == 1) {
            return refuse(parser, "\"%s\" and \"%s\" need each other", target->name,
                          parser->graph->targets[need].name);
        }
        if (parser->mark[need] == 0 && !place(parser, need, order, placed)) {
            return false;
        }
    }
    parser->mark[which] = 2;
    order[(*placed)++] = which;
    return true;
}

static bool sort(struct parser *parser)
{
    struct graph *graph = parser->graph;
    size_t order[TARGETS_MAX], rank[TARGETS_MAX], placed = 0;
    struct target *sorted;

    for (size_t i = 0; i < graph->count; i++) {
        if (parser->mark[i] == 0 && !place(parser, i, order, &placed)) {
            return false;
        }
    }
    sorted = calloc(TARGETS_MAX, sizeof *sorted);
    if (sorted == NULL) {
        return refuse(parser, "no memory");
    }
    for (size_t i = 0; i < placed; i++) {
        rank[order[i]] = i;
    }
    for (size_t i = 0; i < placed; i++) {
        sorted[i] = graph->targets[order[i]];
        for (size_t j = 0; j < sorted[i].need_count; j++) {
            sorted[i].needs[j] = rank[sorted[i].needs[j]];
        }
    }
    memcpy(graph->targets, sorted, sizeof graph->targets);
    free(sorted);
    return true;
}

bool graph_parse(struct graph *graph, const char *source, char *text, size_t text_size)
{
    struct parser parser = {.graph = graph, .text = text, .text_size = text_size};
    char *copy = strdup(source);
    char *next = copy;
    bool is_good = copy != NULL || refuse(&parser, "no memory");

    memset(graph, 0, sizeof *graph);
    parser.current = TARGETS_MAX;
    while (is_good && next != NULL && *next != '\0') {
        char *line = next;

        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        parser.line++;
        if (line[0] == '\t') {
            is_good = parse_command(&parser, line + 1);
        } else if (line[0] != '#' && line[strspn(line, " ")] != '\0') {
            is_good = parse_rule(&parser, line);
        }
    }
    free(copy);
    return is_good && sort(&parser);
}

void graph_release(struct graph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        free(graph->targets[i].name);
        free(graph->targets[i].command);
    }
    graph->count = 0;
}
