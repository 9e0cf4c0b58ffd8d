/* SPDX-License-Identifier: MIT */
/*
 * Graphviz text. Names and paths are somebody else's: they stand in quotes and are
 * escaped, and nodes are called by numbers. Paths are cut at the front, where they say
 * least, so that a line has a bound.
 */
#include "sync/lock_dot.h"

#include <inttypes.h>
#include <string.h>

#include "base/os.h"

enum { PATH_BYTES = 100, FUNCTION_BYTES = 100 };

/* An escaped newline within a label is two backslashes and an n. */
static void add_escaped(struct hki_text *text, const char *bytes, size_t most, bool keeps_end)
{
    char part[PATH_BYTES + 1];
    size_t length = bytes != NULL ? strlen(bytes) : 0;

    if (length > most) {
        bytes += keeps_end ? length - most : 0;
        length = most;
    }
    if (length > 0) {
        memcpy(part, bytes, length);
    }
    part[length] = '\0';
    hki_text_escape(text, part, "\\\\");
}

static void add_name(struct hki_text *text, const char *name, const void *lock)
{
    if (name[0] != '\0') {
        add_escaped(text, name, PATH_BYTES, false);
    } else {
        hki_text_add(text, "lock %p", lock);
    }
}

static void add_site(struct hki_text *text, const hk_site *site)
{
    if (site == NULL) {
        hki_text_add(text, "?");
        return;
    }
    add_escaped(text, site->file, PATH_BYTES, true);
    hki_text_add(text, ":%d (", site->line);
    add_escaped(text, site->function, FUNCTION_BYTES, false);
    hki_text_add(text, ")");
}

/* The attributes of an edge; its ends come before. */
static void add_attributes(struct hki_text *text, const hk_lock_edge *edge, bool is_wrong)
{
    hki_text_add(text, " [label=\"");
    add_site(text, edge->from_site);
    hki_text_add(text, "\\n");
    add_site(text, edge->to_site);
    hki_text_add(text, "\\nthread ");
    add_escaped(text, edge->thread_name, PATH_BYTES, false);
    hki_text_add(text, " (%d)\"%s];\n", edge->thread_id,
                 is_wrong ? ", color=red, fontcolor=red, style=dashed" : "");
}

void hki_dot_open(struct hki_text *text)
{
    hki_text_add(text, "digraph lock_order {\n"
                       "  node [shape=box, fontname=\"sans\"];\n"
                       "  edge [fontname=\"sans\", fontsize=10];\n");
}

void hki_dot_close(struct hki_text *text)
{
    hki_text_add(text, "}\n");
}

/* --- A report ------------------------------------------------------------------------ */

static bool write_out(struct hki_text *text, int fd)
{
    bool done = hki_os_write(fd, text->at, text->length);

    text->length = 0;
    return done;
}

/* Edge i leads from node i to the next; the last one back to node 0. */
bool hki_dot_report(const hk_lock_report *report, int fd)
{
    char line[HKI_DOT_LINE_BYTES];
    struct hki_text text = {.at = line, .room = sizeof(line)};
    bool done;

    hki_dot_open(&text);
    done = write_out(&text, fd);
    for (size_t i = 0; done && i < report->edge_count; i++) {
        const hk_lock_edge *edge = &report->edges[i];

        hki_text_add(&text, "  n%zu [label=\"", i);
        add_name(&text, edge->from_name, edge->from_lock);
        hki_text_add(&text, "\"];\n  n%zu -> n%zu", i, (i + 1) % report->edge_count);
        add_attributes(&text, edge, i == 0);
        done = write_out(&text, fd);
    }
    if (done) {
        hki_dot_close(&text);
        done = write_out(&text, fd);
    }
    return done;
}

/* --- The whole graph -------------------------------------------------------------------- */

void hki_dot_node(struct hki_text *text, const struct hki_lock_graph *graph, uint32_t number)
{
    const struct hki_lock_node *node = hki_lock_node_at(graph, number);

    if (node->identity != 0) {
        hki_text_add(text, "  n%016" PRIx64 " [label=\"", node->identity);
        add_name(text, node->name, node->lock);
        hki_text_add(text, "\"];\n");
    }
}

void hki_dot_edge(struct hki_text *text, const struct hki_lock_graph *graph, uint32_t number)
{
    const struct hki_lock_edge *edge = hki_lock_edge_at(graph, number);
    hk_lock_edge shown;

    if (edge->from == HKI_LOCK_NONE) {
        return;
    }
    hki_text_add(text, "  n%016" PRIx64 " -> n%016" PRIx64,
                 hki_lock_node_at(graph, edge->from)->identity,
                 hki_lock_node_at(graph, edge->to)->identity);
    if ((edge->flags & (HKI_EDGE_ORDER | HKI_EDGE_REFUSED)) != 0) {
        hki_lock_graph_show(graph, number, &shown);
        add_attributes(text, &shown, (edge->flags & HKI_EDGE_ORDER) == 0);
    } else {
        hki_text_add(text, " [label=\"allowed\", color=gray, style=dotted, dir=none, "
                           "constraint=false];\n");
    }
}
