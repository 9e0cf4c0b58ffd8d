/* SPDX-License-Identifier: MIT */
/* Programs as text. */
#include "tests/random/program.h"

#include <stdlib.h>
#include <string.h>

enum { CHOICES_MAX = 13, FIELDS_MAX = 12, LINE_MAX_BYTES = 512 };

enum field_type { NO_FIELD, REF, NUMBER };

struct field {
    const char *name;
    enum field_type type;
    int at;                           /* In refs or numbers. */
    const char *choices[CHOICES_MAX]; /* Names of 0, 1, ...; none: a plain number. */
};

struct form {
    const char *name;
    struct field fields[FIELDS_MAX];
};

#define TASKS                                                                                      \
    {                                                                                              \
        "gives", "gives-large", "gives-ref", "gives-buffer", "fails", "cancels", "spins",          \
            "sleeps", "forks", "body", "crashes", "crashes-once"                                   \
    }
#define FUTURE                                                                                     \
    {                                                                                              \
        "of", REF, HKT_TARGET,                                                                     \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define PLAIN(name, at)                                                                            \
    {                                                                                              \
        name, NUMBER, at,                                                                          \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define REFERENCE(name, at)                                                                        \
    {                                                                                              \
        name, REF, at,                                                                             \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define FOUR REFERENCE("a", 0), REFERENCE("b", 1), REFERENCE("c", 2), REFERENCE("d", 3)
#define SUBMITTED                                                                                  \
    REFERENCE("to", HKT_TARGET), REFERENCE("token", HKT_TOKEN_REF),                                \
        {"task", NUMBER, HKT_HOW, TASKS}, PLAIN("value", HKT_VALUE), PLAIN("time", HKT_TIME),      \
        PLAIN("timeout", HKT_TIMEOUT), PLAIN("deadline", HKT_DEADLINE),                            \
        PLAIN("retries", HKT_RETRIES), PLAIN("priority", HKT_PRIORITY)

static const struct form forms[HKT_KINDS] = {
    [HKT_EXECUTOR] =
        {"executor",
         {REFERENCE("base", HKT_TARGET),
          {"kind", NUMBER, HKT_HOW, {"inline", "threads", "processes", "serial", "replay"}},
          PLAIN("seed", HKT_VALUE),
          PLAIN("workers", HKT_WORKERS),
          PLAIN("queue", HKT_QUEUE),
          PLAIN("timeout", HKT_TIMEOUT),
          {"full", NUMBER, HKT_WHEN_FULL, {"blocks", "fails", "caller-runs", "drops-oldest"}},
          PLAIN("no-spares", HKT_NO_SPARES),
          {"end", NUMBER, HKT_END, {"drain", "cancel-queued", "cancel-all", "kill", "destroy"}}}},
    [HKT_SUBMIT] = {"submit",
                    {SUBMITTED,
                     {"form", NUMBER, HKT_FORM, {"copy", "large-copy", "ref", "buffer"}},
                     PLAIN("forgotten", HKT_FORGOTTEN)}},
    [HKT_MANY] = {"many", {SUBMITTED, PLAIN("count", HKT_COUNT)}},
    [HKT_READ] = {"read",
                  {FUTURE,
                   {"how",
                    NUMBER,
                    HKT_HOW,
                    {"state", "wait", "result", "take", "error", "snapshot", "why", "fd"}},
                   PLAIN("time", HKT_TIME)}},
    [HKT_WAIT] = {"wait",
                  {FOUR,
                   {"for", NUMBER, HKT_HOW, {"all", "first", "error"}},
                   PLAIN("time", HKT_TIME)}},
    [HKT_AS_COMPLETED] = {"as-completed",
                          {FOUR, PLAIN("time", HKT_TIME), PLAIN("count", HKT_COUNT)}},
    [HKT_COMPLETION] = {"completion", {{NULL, NO_FIELD, 0, {NULL}}}},
    [HKT_ADD] = {"add", {REFERENCE("to", HKT_TARGET), REFERENCE("future", HKT_ADDED)}},
    [HKT_NEXT] = {"next", {FUTURE, PLAIN("time", HKT_TIME)}},
    [HKT_CANCEL] = {"cancel", {FUTURE, {"level", NUMBER, HKT_HOW, {"pending", "request", "kill"}}}},
    [HKT_TOKEN] = {"token", {REFERENCE("below", HKT_TARGET)}},
    [HKT_FIRE] = {"fire", {FUTURE}},
    [HKT_CALLBACK] = {"callback", {FUTURE, REFERENCE("where", HKT_WHERE)}},
    [HKT_REMOVE] = {"remove", {FUTURE}},
    [HKT_FORGET] = {"forget", {FUTURE}},
    [HKT_UNREF] = {"unref", {FUTURE}},
    [HKT_THEN] = {"then",
                  {FUTURE,
                   REFERENCE("where", HKT_WHERE),
                   REFERENCE("follow", HKT_FOLLOWED),
                   {"step", NUMBER, HKT_HOW, {"set", "ref", "fail", "status", "empty", "follow"}},
                   PLAIN("value", HKT_VALUE)}},
    [HKT_CATCH] = {"catch",
                   {FUTURE,
                    REFERENCE("where", HKT_WHERE),
                    REFERENCE("follow", HKT_FOLLOWED),
                    {"step", NUMBER, HKT_HOW, {"set", "ref", "fail", "status", "empty", "follow"}},
                    PLAIN("value", HKT_VALUE)}},
    [HKT_GROUP] = {"group",
                   {FOUR, {"how", NUMBER, HKT_HOW, {"when-all", "settle-all", "when-any"}}}},
    [HKT_WITHIN] = {"within", {FUTURE, PLAIN("time", HKT_TIME)}},
    [HKT_PROMISE] = {"promise", {{NULL, NO_FIELD, 0, {NULL}}}},
    [HKT_PROMISE_END] =
        {"promise-end",
         {FUTURE,
          REFERENCE("follow", HKT_FOLLOWED),
          {"how", NUMBER, HKT_HOW, {"start", "set", "set-ref", "fail", "follow", "destroy"}},
          PLAIN("value", HKT_VALUE)}},
    [HKT_MAP] = {"map",
                 {REFERENCE("to", HKT_TARGET), REFERENCE("token", HKT_TOKEN_REF),
                  PLAIN("value", HKT_VALUE), PLAIN("time", HKT_TIME), PLAIN("count", HKT_COUNT),
                  PLAIN("chunk", HKT_CHUNK), PLAIN("limit", HKT_TIMEOUT),
                  PLAIN("window", HKT_WINDOW), PLAIN("unordered", HKT_UNORDERED),
                  PLAIN("bad", HKT_BAD), PLAIN("reads", HKT_READS)}},
    [HKT_RANGE] = {"range",
                   {REFERENCE("to", HKT_TARGET), REFERENCE("token", HKT_TOKEN_REF),
                    PLAIN("time", HKT_TIME), PLAIN("count", HKT_COUNT), PLAIN("grain", HKT_CHUNK),
                    PLAIN("limit", HKT_TIMEOUT), PLAIN("bad", HKT_BAD)}},
    [HKT_SHUTDOWN] = {"shutdown",
                      {FUTURE,
                       {"how", NUMBER, HKT_HOW, {"drain", "cancel-queued", "cancel-all", "kill"}},
                       PLAIN("time", HKT_TIME)}},
    [HKT_KILL_WORKER] = {"kill-worker", {FUTURE, PLAIN("value", HKT_VALUE)}},
    [HKT_CHANGE] = {"change",
                    {FUTURE,
                     {"how", NUMBER, HKT_HOW, {"resize", "restart", "prestart", "look"}},
                     PLAIN("count", HKT_COUNT),
                     PLAIN("time", HKT_TIME)}},
    [HKT_PAUSE] = {"pause", {PLAIN("time", HKT_TIME)}},
};

struct hkt_op hkt_op_of(enum hkt_kind kind, int in)
{
    struct hkt_op op = {.kind = kind, .in = in};

    for (int i = 0; i < HKT_REFS_MAX; i++) {
        op.refs[i] = HKT_NO_REF;
    }
    return op;
}

unsigned hkt_program_size(const struct hkt_program *program)
{
    unsigned size = 0;

    for (unsigned i = 0; i < program->count; i++) {
        size += program->ops[i].kind != HKT_NO_OP ? 1 : 0;
    }
    return size;
}

bool hkt_makes_future(enum hkt_kind kind)
{
    return kind == HKT_SUBMIT || kind == HKT_MANY || kind == HKT_THEN || kind == HKT_CATCH ||
           kind == HKT_GROUP || kind == HKT_WITHIN || kind == HKT_PROMISE;
}

bool hkt_has_body(const struct hkt_op *op)
{
    return op->kind == HKT_CALLBACK || op->kind == HKT_THEN || op->kind == HKT_CATCH ||
           (op->kind == HKT_SUBMIT && op->numbers[HKT_HOW] == HKT_RUNS_BODY);
}

/* --- Writing --- */

static void print_field(const struct hkt_op *op, const struct field *field, FILE *file)
{
    int value = field->type == REF ? op->refs[field->at] : op->numbers[field->at];

    if (field->type == REF ? value == HKT_NO_REF : value == 0 && field->choices[0] == NULL) {
        return;
    }
    if (field->choices[0] != NULL) {
        fprintf(file, " %s=%s", field->name, field->choices[value]);
    } else {
        fprintf(file, " %s=%d", field->name, value);
    }
}

void hkt_program_print(const struct hkt_program *program, FILE *file)
{
    for (unsigned i = 0; i < program->count; i++) {
        const struct hkt_op *op = &program->ops[i];

        if (op->kind == HKT_NO_OP) {
            continue;
        }
        if (op->in < 0) {
            fprintf(file, "%u thread%d %s", i, HKT_FIRST_THREAD - op->in, forms[op->kind].name);
        } else {
            fprintf(file, "%u in%d %s", i, op->in, forms[op->kind].name);
        }
        for (const struct field *field = forms[op->kind].fields; field->name != NULL; field++) {
            print_field(op, field, file);
        }
        fputc('\n', file);
    }
}

void hkt_op_trim(struct hkt_op *op)
{
    struct hkt_op trimmed = hkt_op_of(op->kind, op->in);

    for (const struct field *field = forms[op->kind].fields; field->name != NULL; field++) {
        if (field->type == REF) {
            trimmed.refs[field->at] = op->refs[field->at];
        } else {
            trimmed.numbers[field->at] = op->numbers[field->at];
        }
    }
    *op = trimmed;
}

/* --- Reading --- */

static bool read_value(struct hkt_op *op, const struct field *field, const char *text)
{
    int value = (int)strtol(text, NULL, 10);

    for (int i = 0; i < CHOICES_MAX && field->choices[i] != NULL; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            op->numbers[field->at] = i;
            return true;
        }
    }
    if (field->choices[0] != NULL) {
        return false;
    }
    *(field->type == REF ? &op->refs[field->at] : &op->numbers[field->at]) = value;
    return true;
}

static bool read_field(struct hkt_op *op, char *word)
{
    char *equals = strchr(word, '=');

    if (equals == NULL) {
        return false;
    }
    *equals = '\0';
    for (const struct field *field = forms[op->kind].fields; field->name != NULL; field++) {
        if (strcmp(field->name, word) == 0) {
            return read_value(op, field, equals + 1);
        }
    }
    return false;
}

static enum hkt_kind kind_of(const char *name)
{
    for (int kind = 1; kind < HKT_KINDS; kind++) {
        if (name != NULL && strcmp(forms[kind].name, name) == 0) {
            return (enum hkt_kind)kind;
        }
    }
    return HKT_NO_OP;
}

static bool read_place(const char *word, long number, int *in)
{
    if (word == NULL) {
        return false;
    }
    if (strncmp(word, "thread", 6) == 0) {
        *in = HKT_FIRST_THREAD - atoi(word + 6);
        return *in <= HKT_FIRST_THREAD && *in > HKT_FIRST_THREAD - HKT_PLACES_OF_THREADS;
    }
    *in = strncmp(word, "in", 2) == 0 ? atoi(word + 2) : HKT_NOWHERE;
    return *in >= 0 && *in < number;
}

static bool refers_back(const struct hkt_op *op, long number)
{
    for (int i = 0; i < HKT_REFS_MAX; i++) {
        if (op->refs[i] < HKT_NO_REF || op->refs[i] >= number) {
            return false;
        }
    }
    return op->kind != HKT_PROMISE_END || op->refs[HKT_FOLLOWED] < op->refs[HKT_TARGET];
}

static bool read_line(struct hkt_program *program, char *line)
{
    char *rest = NULL;
    char *word = strtok_r(line, " \n", &rest);
    long number = word == NULL ? 0 : strtol(word, NULL, 10);
    struct hkt_op op;
    int in;

    if (word == NULL || word[0] == '#') {
        return true;
    }
    if (number < 0 || number >= HKT_OPS_MAX || number < (long)program->count ||
        !read_place(strtok_r(NULL, " \n", &rest), number, &in)) {
        return false;
    }
    op = hkt_op_of(kind_of(strtok_r(NULL, " \n", &rest)), in);
    while (op.kind != HKT_NO_OP && (word = strtok_r(NULL, " \n", &rest)) != NULL) {
        if (!read_field(&op, word)) {
            return false;
        }
    }
    program->ops[number] = op;
    program->count = (unsigned)number + 1;
    return op.kind != HKT_NO_OP && refers_back(&op, number);
}

bool hkt_program_read(struct hkt_program *program, FILE *file)
{
    char line[LINE_MAX_BYTES];

    memset(program, 0, sizeof(*program));
    while (fgets(line, sizeof(line), file) != NULL) {
        char copy[LINE_MAX_BYTES];

        memcpy(copy, line, sizeof(copy));
        if (!read_line(program, copy)) {
            fprintf(stderr, "random_programs: not understood: %s", line);
            return false;
        }
    }
    if (program->count == 0) {
        fprintf(stderr, "random_programs: no operation to be read\n");
        return false;
    }
    return true;
}
