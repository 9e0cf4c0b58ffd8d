/* SPDX-License-Identifier: MIT */
/* Leads actors into waits, and makes reports comparable. */
#include "tests/wait_fixture.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Actors --- */

hk_status hkt_act(struct hkt_actor *actor)
{
    if (actor->prepare != NULL) {
        actor->prepare();
    }
    hkt_gate_wait(&actor->go);
    atomic_store(&actor->id, gettid());
    actor->status = actor->wait();
    atomic_store(&actor->ended, true);
    if (actor->release != NULL) {
        actor->release();
    }
    return HK_OK;
}

static void act_on_a_thread(void *arg)
{
    struct hkt_actor *actor = arg;

    HKT_EQ_INT(pthread_setname_np(pthread_self(), actor->name), 0);
    if (actor->start != NULL) {
        actor->start(actor);
    } else {
        (void)hkt_act(actor);
    }
}

void hkt_actors_begin(struct hkt_actor *const *actors, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct hkt_actor *actor = actors[i];

        atomic_store(&actor->id, 0);
        atomic_store(&actor->ended, false);
        hkt_gate_init(&actor->go, "an actor may wait");
        if (actor->pool == NULL) {
            hkt_thread_start(&actor->thread, act_on_a_thread, actor);
        } else {
            HKT_OK_FATAL(HKT_AT("actor", hk_submit_ref(actor->pool, actor->task, actor, NULL, NULL,
                                                       &actor->future)));
        }
        hkt_gate_await_arrivals(&actor->go, 1);
    }
}

void hkt_actor_goes(struct hkt_actor *actor)
{
    hkt_gate_open(&actor->go);
}

/* An actor, and how many of its pool's workers will be blocked. */
struct falling_asleep {
    struct hkt_actor *actor;
    hk_executor *workers;
    uint64_t blocked;
};

static bool is_blocked(void *arg)
{
    const struct falling_asleep *falling = arg;

    return atomic_load(&falling->actor->ended) ||
           (atomic_load(&falling->actor->id) != 0 &&
            (falling->workers == NULL ||
             hkt_stats(falling->workers).workers_blocked == falling->blocked));
}

static bool is_asleep(void *arg)
{
    struct hkt_actor *actor = arg;

    return atomic_load(&actor->ended) || hkt_is_asleep(atomic_load(&actor->id));
}

void hkt_actor_sleeps(struct hkt_actor *actor)
{
    struct falling_asleep falling = {.actor = actor};

    falling.workers = actor->workers != NULL ? actor->workers : actor->pool;
    if (falling.workers != NULL) {
        falling.blocked = hkt_stats(falling.workers).workers_blocked + 1;
    }
    hkt_actor_goes(actor);
    HKT_TRUE(hkt_eventually(is_blocked, &falling));
    HKT_TRUE(hkt_eventually(is_asleep, actor));
}

void hkt_actors_end(struct hkt_actor *const *actors, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct hkt_actor *actor = actors[i];

        if (actor->pool == NULL) {
            hkt_thread_join(&actor->thread);
        } else {
            HKT_OK(hk_future_result(actor->future, HK_FOREVER, NULL, NULL));
        }
    }
    /* Only now: another one may have waited for it. */
    for (unsigned i = 0; i < count; i++) {
        hk_future_unref(actors[i]->future);
        actors[i]->future = NULL;
        hkt_gate_fini(&actors[i]->go);
    }
}

void hkt_expect_last_refused(struct hkt_actor *const *actors, unsigned count, const unsigned *order)
{
    unsigned reports = hkt_refusals_count();

    for (unsigned i = 0; i + 1 < count; i++) {
        hkt_actor_sleeps(actors[order[i]]);
    }
    HKT_EQ_INT(hkt_refusals_count(), reports);
    hkt_actor_goes(actors[order[count - 1]]);
    hkt_actors_end(actors, count);
    for (unsigned i = 0; i < count; i++) {
        HKT_STATUS(actors[order[i]]->status, i + 1 < count ? HK_OK : HK_EDEADLK);
    }
    HKT_EQ_INT(hkt_refusals_count(), reports + 1);
}

/* --- Marks --- */

enum { MARKS_MAX = 256, FILE_MAX = 64 };

struct mark {
    char file[FILE_MAX];
    int line;
    const char *name;
};

static struct mark marks[MARKS_MAX];
static size_t mark_count;
static pthread_mutex_t marks_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static const char *find_mark(const char *file, size_t length, int line)
{
    for (size_t i = 0; i < mark_count; i++) {
        if (marks[i].line == line && strlen(marks[i].file) == length &&
            strncmp(marks[i].file, file, length) == 0) {
            return marks[i].name;
        }
    }
    return NULL;
}

void hkt_mark_line(const char *file, int line, const char *mark)
{
    file = base_name(file);
    pthread_mutex_lock(&marks_lock);
    if (find_mark(file, strlen(file), line) == NULL && HKT_TRUE(mark_count < MARKS_MAX)) {
        snprintf(marks[mark_count].file, FILE_MAX, "%s", file);
        marks[mark_count].line = line;
        marks[mark_count].name = mark;
        mark_count++;
    }
    pthread_mutex_unlock(&marks_lock);
}

/* --- Texts --- */

/* Where a text is read and where it is written: never further. */
struct rewrite {
    const char *from;
    char *to;
};

static void put(struct rewrite *rewrite, const char *words)
{
    size_t length = strlen(words);

    memmove(rewrite->to, words, length);
    rewrite->to += length;
}

static bool skip_digits(const char **at, int (*is_digit)(int))
{
    const char *begin = *at;

    while (is_digit((unsigned char)**at)) {
        ++*at;
    }
    return *at != begin;
}

/* "0x7f12" */
static bool take_address(struct rewrite *rewrite)
{
    const char *at = rewrite->from + 2;

    if (strncmp(rewrite->from, "0x", 2) != 0 || !skip_digits(&at, isxdigit)) {
        return false;
    }
    put(rewrite, "0x..");
    rewrite->from = at;
    return true;
}

/* "(1234)" */
static bool take_thread_id(struct rewrite *rewrite)
{
    const char *at = rewrite->from + 1;

    if (rewrite->from[0] != '(' || !skip_digits(&at, isdigit) || *at != ')') {
        return false;
    }
    put(rewrite, "(#)");
    rewrite->from = at + 1;
    return true;
}

/* "since 0.001 s" */
static bool take_time(struct rewrite *rewrite)
{
    const char *at = rewrite->from + strlen("since ");

    if (strncmp(rewrite->from, "since ", strlen("since ")) != 0 || !skip_digits(&at, isdigit) ||
        *at++ != '.' || !skip_digits(&at, isdigit) || strncmp(at, " s", 2) != 0) {
        return false;
    }
    put(rewrite, "since T s");
    rewrite->from = at + 2;
    return true;
}

/* "/a/b/x.c:12", from its first letter. */
static bool take_line(struct rewrite *rewrite)
{
    const char *end = rewrite->from + strcspn(rewrite->from, ": ,()\n");
    const char *at = end + 1;
    const char *file = end;
    const char *mark;

    if (end - rewrite->from < 3 || strncmp(end - 2, ".c:", 3) != 0 || !skip_digits(&at, isdigit)) {
        return false;
    }
    while (file > rewrite->from && file[-1] != '/') {
        file--;
    }
    pthread_mutex_lock(&marks_lock);
    mark = find_mark(file, (size_t)(end - file), atoi(end + 1));
    pthread_mutex_unlock(&marks_lock);
    memmove(rewrite->to, file, (size_t)(end - file));
    rewrite->to += end - file;
    rewrite->from = mark == NULL ? end : at;
    if (mark != NULL) {
        put(rewrite, ":{");
        put(rewrite, mark);
        put(rewrite, "}");
    }
    return true;
}

void hkt_normalise(char *text)
{
    char *copy = strdup(text);
    struct rewrite rewrite = {copy, text};
    bool at_word = true;

    HKT_TRUE_FATAL(copy != NULL);
    while (*rewrite.from != '\0') {
        bool taken = at_word && (take_address(&rewrite) || take_thread_id(&rewrite) ||
                                 take_time(&rewrite) || take_line(&rewrite));

        if (!taken) {
            at_word = strchr(" (\n", *rewrite.from) != NULL;
            at_word =
                at_word || (rewrite.from[1] == '(' && isdigit((unsigned char)rewrite.from[2]));
            *rewrite.to++ = *rewrite.from++;
        } else {
            at_word = false;
        }
    }
    *rewrite.to = '\0';
    free(copy);
}

/* --- Reports --- */

static const char beginning[] = "a wait was refused, for it could never end: ";

static pthread_mutex_t reports_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned report_count;
static char last_report[4096];

static void take_report(hk_log_level level, const char *text, void *arg)
{
    (void)level;
    (void)arg;
    if (strncmp(text, beginning, strlen(beginning)) != 0) {
        return;
    }
    pthread_mutex_lock(&reports_lock);
    report_count++;
    snprintf(last_report, sizeof(last_report) / 2, "%s", text + strlen(beginning));
    pthread_mutex_unlock(&reports_lock);
}

void hkt_refusals_begin(void)
{
    report_count = 0;
    hk_on_log(take_report, NULL);
}

void hkt_refusals_end(void)
{
    hk_on_log(NULL, NULL);
}

unsigned hkt_refusals_count(void)
{
    unsigned count;

    pthread_mutex_lock(&reports_lock);
    count = report_count;
    pthread_mutex_unlock(&reports_lock);
    return count;
}

void hkt_report_expect(struct hkt_site site, const char *expected)
{
    char text[sizeof(last_report)];

    pthread_mutex_lock(&reports_lock);
    memcpy(text, last_report, sizeof(text));
    pthread_mutex_unlock(&reports_lock);
    hkt_normalise(text);
    hkt_check_str(site, text, expected, "the report");
}
