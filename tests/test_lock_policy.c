/* SPDX-License-Identifier: MIT */
/* The order of locks: classes, exceptions, policies, and where reports go. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lock_fixture.h"

/* Two locks that are taken one in the other. */
struct both {
    hk_lock a;
    hk_lock b;
};

#define BOTH_INIT                                                                                  \
    {                                                                                              \
        HK_LOCK_INIT("a"), HK_LOCK_INIT("b")                                                       \
    }

static hk_status a_then_b(struct both *both)
{
    return hkt_nest(&both->a, &both->b);
}

static hk_status b_then_a(struct both *both)
{
    return hkt_nest(&both->b, &both->a);
}

static void forget(struct both *both)
{
    HKT_OK(hk_lock_destroy(&both->a));
    HKT_OK(hk_lock_destroy(&both->b));
}

/* --- Classes ------------------------------------------------------------------------ */

static void make(hk_lock *lock, const char *name, hk_lock_class *of, unsigned subclass)
{
    HKT_OK(hk_lock_init(lock,
                        &(hk_lock_options){.name = name, .lock_class = of, .subclass = subclass}));
}

static void two_of_one_class_are_refused(void)
{
    static hk_lock_class nodes;
    struct hkt_reports reports;
    hk_lock one;
    hk_lock other;

    make(&one, "node", &nodes, 0);
    make(&other, "node", &nodes, 0);
    hkt_reports_begin(&reports);
    HKT_STATUS(hkt_nest(&one, &other), HK_EORDER);
    HKT_EQ_INT(reports.kind, HK_LOCK_SAME_CLASS);
    HKT_EQ_INT(reports.edge_count, 1);
    HKT_EQ_PTR(reports.edges[0].from_lock, &one);
    HKT_EQ_PTR(reports.edges[0].to_lock, &other);
    HKT_EQ_STR(reports.edges[0].from_name, "node");
    HKT_STATUS(hkt_nest(&other, &one), HK_EORDER);
    HKT_STATUS(hkt_nest(&one, &one), HK_EDEADLK);
    HKT_EQ_INT(reports.count, 1);
    /* One in a try, and both at once. */
    HKT_OK(hk_lock_acquire(&one));
    HKT_OK(hk_lock_try(&other));
    HKT_OK(hk_lock_release(&one));
    HKT_OK(hk_lock_release(&other));
    HKT_OK(hk_lock_acquire_many(((hk_lock *[]){&other, &one}), 2));
    HKT_OK(hk_lock_release_many(((hk_lock *[]){&other, &one}), 2));
    HKT_EQ_INT(reports.count, 1);
    hkt_reports_end(&reports);
}

static void subclasses_stand_in_an_order(void)
{
    static hk_lock_class nodes;
    struct hkt_reports reports;
    hk_lock parents[2];
    hk_lock children[2];

    hkt_reports_begin(&reports);
    for (int i = 0; i < 2; i++) {
        make(&parents[i], "parent", &nodes, 0);
        make(&children[i], "child", &nodes, HK_LOCK_SUBCLASSES - 1);
    }
    HKT_OK(hkt_nest(&parents[0], &children[0]));
    HKT_OK(hkt_nest(&parents[0], &children[1]));
    /* What one family has shown counts for all. */
    HKT_STATUS(hkt_nest(&children[1], &parents[1]), HK_EORDER);
    HKT_EQ_INT(reports.kind, HK_LOCK_INVERSION);
    HKT_EQ_PTR(reports.edges[0].from_lock, &children[1]);
    HKT_EQ_PTR(reports.edges[0].to_lock, &parents[1]);
    HKT_STATUS(hkt_nest(&children[0], &parents[0]), HK_EORDER);
    HKT_EQ_INT(reports.count, 1);
    HKT_STATUS(hkt_nest(&children[0], &children[1]), HK_EORDER);
    HKT_EQ_INT(reports.kind, HK_LOCK_SAME_CLASS);
    HKT_EQ_INT(reports.count, 2);
    /* The class outlives its locks, and so does its order. */
    HKT_OK(hk_lock_destroy(&parents[0]));
    HKT_OK(hk_lock_destroy(&children[0]));
    HKT_STATUS(hkt_nest(&children[0], &parents[0]), HK_EORDER);
    hkt_reports_end(&reports);
}

/* --- Exceptions ------------------------------------------------------------------------ */

static void an_allowed_pair_is_taken_in_any_order(void)
{
    struct both before = BOTH_INIT;
    struct both after = BOTH_INIT;
    struct both refused = BOTH_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hk_lock_allow(&before.a, &before.b));
    HKT_OK(a_then_b(&before));
    HKT_OK(b_then_a(&before));
    HKT_OK(a_then_b(&after));
    HKT_OK(hk_lock_allow(&after.b, &after.a));
    HKT_OK(b_then_a(&after));
    HKT_OK(a_then_b(&after));
    HKT_EQ_INT(reports.count, 0);
    HKT_OK(a_then_b(&refused));
    HKT_STATUS(b_then_a(&refused), HK_EORDER);
    HKT_OK(hk_lock_allow(&refused.a, &refused.b));
    HKT_OK(b_then_a(&refused));
    HKT_OK(hk_lock_allow(&refused.a, &refused.b)); /* Twice is once. */
    HKT_OK(a_then_b(&refused));
    /* It was these two alone. */
    HKT_OK(hkt_nest(&before.a, &after.a));
    HKT_STATUS(hkt_nest(&after.a, &before.a), HK_EORDER);
    HKT_EQ_INT(reports.count, 2);
    hkt_reports_end(&reports);
    forget(&before);
    forget(&after);
    forget(&refused);
}

static void a_class_may_be_allowed_with_itself(void)
{
    static hk_lock_class nodes;
    hk_lock locks[3];
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    for (int i = 0; i < 3; i++) {
        make(&locks[i], "node", &nodes, 2);
    }
    HKT_OK(hk_lock_allow(&locks[0], &locks[1]));
    HKT_OK(hkt_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_nest(&locks[2], &locks[0]));
    HKT_OK(hkt_nest(&locks[1], &locks[2]));
    HKT_STATUS(hkt_nest(&locks[1], &locks[1]), HK_EDEADLK);
    HKT_EQ_INT(reports.count, 0);
    hkt_reports_end(&reports);
}

static void a_lock_may_stay_out_of_the_order(void)
{
    hk_lock noorder = HK_LOCK_INIT_AS("free", HK_LOCK_NOORDER, HK_LOCK_DEFAULT, NULL, 0);
    struct both both = BOTH_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hkt_nest(&both.a, &noorder));
    HKT_OK(hkt_nest(&noorder, &both.a));
    HKT_OK(hk_lock_acquire(&both.a));
    HKT_OK(hk_lock_acquire(&noorder));
    HKT_OK(hk_lock_acquire(&both.b)); /* a before b, whatever is between them. */
    HKT_OK(hk_lock_release(&both.b));
    HKT_OK(hk_lock_release(&noorder));
    HKT_OK(hk_lock_release(&both.a));
    HKT_EQ_INT(reports.count, 0);
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    HKT_STATUS(hk_lock_allow(&both.a, &noorder), HK_EINVAL);
    HKT_STATUS(hk_lock_allow(&noorder, &both.a), HK_EINVAL);
    hkt_reports_end(&reports);
    HKT_OK(hk_lock_destroy(&noorder));
    forget(&both);
}

/* --- Policies ------------------------------------------------------------------------------ */

static void make_with(struct both *both, hk_lock_policy policy)
{
    HKT_OK(hk_lock_init(&both->a, &(hk_lock_options){.name = "a", .policy = policy}));
    HKT_OK(hk_lock_init(&both->b, &(hk_lock_options){.name = "b", .policy = policy}));
}

static void a_lock_may_have_a_policy_of_its_own(void)
{
    struct both both;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    make_with(&both, HK_LOCK_REPORT);
    HKT_OK(a_then_b(&both));
    HKT_OK(b_then_a(&both));
    HKT_OK(b_then_a(&both));
    HKT_OK(a_then_b(&both));
    HKT_EQ_INT(reports.count, 1);
    HKT_EQ_INT(reports.policy, HK_LOCK_REPORT);
    forget(&both);
    make_with(&both, HK_LOCK_OFF);
    HKT_OK(a_then_b(&both));
    HKT_OK(b_then_a(&both));
    HKT_EQ_INT(reports.count, 1);
    forget(&both);
    /* It counts for the lock that is wanted. */
    make_with(&both, HK_LOCK_DEFAULT);
    HKT_OK(hk_lock_init(&both.a, &(hk_lock_options){.policy = HK_LOCK_REPORT}));
    HKT_OK(a_then_b(&both));
    HKT_OK(b_then_a(&both));
    HKT_EQ_INT(reports.count, 2);
    forget(&both);
    make_with(&both, HK_LOCK_REFUSE);
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF));
    HKT_OK(a_then_b(&both));
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    HKT_EQ_INT(reports.count, 3);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    hkt_reports_end(&reports);
    forget(&both);
}

static void the_process_has_a_policy(void)
{
    struct both both = BOTH_INIT;
    struct both other = BOTH_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_EQ_INT(hk_lock_policy_get(), HK_LOCK_REFUSE);
    HKT_STATUS(hk_lock_policy_set((hk_lock_policy)-1), HK_EINVAL);
    HKT_STATUS(hk_lock_policy_set((hk_lock_policy)5), HK_EINVAL);
    HKT_EQ_INT(hk_lock_policy_get(), HK_LOCK_REFUSE);
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF));
    HKT_EQ_INT(hk_lock_policy_get(), HK_LOCK_OFF);
    HKT_OK(a_then_b(&both));
    HKT_OK(b_then_a(&both));
    /* Nothing was learned of it. */
    HKT_OK(hk_lock_policy_set(HK_LOCK_REFUSE));
    HKT_OK(b_then_a(&both));
    HKT_STATUS(a_then_b(&both), HK_EORDER);
    HKT_EQ_INT(reports.count, 1);
    HKT_OK(hk_lock_policy_set(HK_LOCK_REPORT));
    HKT_OK(a_then_b(&both));
    HKT_EQ_INT(reports.count, 1); /* Once for each pair. */
    HKT_OK(a_then_b(&other));
    HKT_OK(b_then_a(&other));
    HKT_EQ_INT(reports.count, 2);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    HKT_EQ_INT(hk_lock_policy_get(), HK_LOCK_REFUSE);
    HKT_STATUS(a_then_b(&both), HK_EORDER);
    HKT_STATUS(b_then_a(&other), HK_EORDER);
    hkt_reports_end(&reports);
    forget(&both);
    forget(&other);
}

static void abort_in_child(void *arg)
{
    struct both both;

    if (arg != NULL) {
        make_with(&both, HK_LOCK_DEFAULT);
        HKT_CHILD_STATUS(hk_lock_policy_set(HK_LOCK_ABORT), HK_OK);
    } else {
        make_with(&both, HK_LOCK_ABORT);
    }
    HKT_CHILD_STATUS(a_then_b(&both), HK_OK);
    HKT_CHILD_STATUS(b_then_a(&both), HK_EORDER); /* Never reached. */
}

static void an_inversion_may_end_the_process(void)
{
    struct hkt_child child;

    for (int i = 0; i < 2; i++) {
        hkt_run_in_child(abort_in_child, i == 0 ? NULL : &child, &child);
        HKT_EQ_INT(child.term_signal, SIGABRT);
        HKT_TRUE(strstr(child.output, "lock order inversion") != NULL);
        HKT_TRUE(strstr(child.output, "lock_fixture.c:") != NULL);
    }
}

struct word {
    const char *word; /* NULL: not set. */
    hk_lock_policy policy;
    bool warns;
};

/* Back to the start: the environment is asked again. */
static void read_environment(void *arg)
{
    const struct word *word = arg;
    struct hkt_log log;

    hkt_log_begin(&log);
    if (word->word != NULL) {
        setenv("HOCKET_LOCKCHECK", word->word, 1);
    } else {
        unsetenv("HOCKET_LOCKCHECK");
    }
    HKT_CHILD_STATUS(hk_lock_policy_set(HK_LOCK_DEFAULT), HK_OK);
    HKT_CHILD_TRUE(hk_lock_policy_get() == word->policy);
    HKT_CHILD_TRUE(log.lines == (word->warns ? 1U : 0U));
    HKT_CHILD_STATUS(hk_lock_policy_set(HK_LOCK_REPORT), HK_OK);
    HKT_CHILD_TRUE(hk_lock_policy_get() == HK_LOCK_REPORT);
    hkt_log_end(&log);
}

static void the_environment_sets_the_policy(void)
{
    static const struct word words[] = {
        {NULL, HK_LOCK_REFUSE, false},     {"off", HK_LOCK_OFF, false},
        {"report", HK_LOCK_REPORT, false}, {"refuse", HK_LOCK_REFUSE, false},
        {"abort", HK_LOCK_ABORT, false},   {"perhaps", HK_LOCK_REFUSE, true},
        {"", HK_LOCK_REFUSE, true},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        hkt_expect_good_child(read_environment, (void *)(uintptr_t)&words[i]);
    }
}

/* --- Reports ----------------------------------------------------------------------------- */

static void without_a_hook_the_report_is_one_warning(void)
{
    struct both both = BOTH_INIT;
    struct hkt_log log;

    hkt_log_begin(&log);
    HKT_OK(a_then_b(&both));
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    HKT_EQ_INT(log.lines, 1);
    HKT_EQ_INT(log.level, HK_LOG_WARNING);
    HKT_TRUE(hkt_log_has(&log, "lock order inversion"));
    hkt_log_end(&log);
    forget(&both);
}

/* Reads all of a pipe that nobody writes to any more. */
static void read_all(int fd, char *text, size_t size)
{
    size_t used = 0;
    ssize_t got;

    while (used + 1 < size && (got = read(fd, text + used, size - 1 - used)) > 0) {
        used += (size_t)got;
    }
    text[used] = '\0';
}

struct writer {
    struct both inner; /* Inverted by the hook itself. */
    int fd;
    unsigned calls;
};

static void write_and_take_locks(const hk_lock_report *report, void *arg)
{
    struct writer *writer = arg;

    writer->calls++;
    HKT_OK(hk_lock_report_write(report, HK_LOCK_TEXT, writer->fd));
    HKT_OK(hk_lock_report_write(report, HK_LOCK_DOT, writer->fd));
    HKT_STATUS(hk_lock_report_write(report, (hk_lock_format)2, writer->fd), HK_EINVAL);
    HKT_STATUS(hk_lock_report_write(NULL, HK_LOCK_TEXT, writer->fd), HK_EINVAL);
    HKT_STATUS(hk_lock_report_write(report, HK_LOCK_TEXT, -1), HK_EINVAL);
    /* Judged, but not reported. */
    HKT_OK(a_then_b(&writer->inner));
    HKT_STATUS(b_then_a(&writer->inner), HK_EORDER);
}

static void a_hook_writes_the_report_and_takes_locks(void)
{
    struct both both = BOTH_INIT;
    struct writer writer = {.inner = BOTH_INIT};
    char text[16384];
    int ends[2];

    HKT_EQ_INT_FATAL(pipe(ends), 0);
    writer.fd = ends[1];
    hk_on_lock_report(write_and_take_locks, &writer);
    HKT_OK(a_then_b(&both));
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    hk_on_lock_report(NULL, NULL);
    HKT_EQ_INT(writer.calls, 1);
    HKT_OK(hk_lock_graph_write(ends[1]));
    HKT_STATUS(hk_lock_graph_write(-1), HK_EINVAL);
    close(ends[1]);
    read_all(ends[0], text, sizeof(text));
    close(ends[0]);
    HKT_TRUE(strncmp(text, "lock order inversion", strlen("lock order inversion")) == 0);
    HKT_TRUE(strstr(text, "digraph") != NULL);
    forget(&both);
    forget(&writer.inner);
}

static void what_happens_is_counted(void)
{
    struct both both = BOTH_INIT;
    hk_lock_order_statistics before;
    hk_lock_order_statistics after;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_STATUS(hk_lock_order_stats(NULL), HK_EINVAL);
    HKT_OK(hk_lock_order_stats(&before));
    HKT_OK(a_then_b(&both));
    HKT_OK(hk_lock_order_stats(&after));
    HKT_EQ_INT(after.nodes, before.nodes + 2);
    HKT_EQ_INT(after.edges, before.edges + 1);
    HKT_EQ_INT(after.checks, before.checks + 1);
    HKT_EQ_INT(after.inversions, before.inversions);
    HKT_OK(a_then_b(&both)); /* Known: not looked at again. */
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    HKT_OK(hk_lock_order_stats(&after));
    HKT_EQ_INT(after.checks, before.checks + 2);
    HKT_EQ_INT(after.inversions, before.inversions + 1);
    HKT_EQ_INT(after.dropped, before.dropped);
    forget(&both);
    HKT_OK(hk_lock_order_stats(&after));
    HKT_EQ_INT(after.nodes, before.nodes);
    HKT_EQ_INT(after.edges, before.edges);
    hkt_reports_end(&reports);
}

static CU_TestInfo tests[] = {
    HKT_CASE("two of one class are refused", two_of_one_class_are_refused),
    HKT_CASE("subclasses stand in an order", subclasses_stand_in_an_order),
    HKT_CASE("an allowed pair is taken in any order", an_allowed_pair_is_taken_in_any_order),
    HKT_CASE("a class may be allowed with itself", a_class_may_be_allowed_with_itself),
    HKT_CASE("a lock may stay out of the order", a_lock_may_stay_out_of_the_order),
    HKT_CASE("a lock may have a policy of its own", a_lock_may_have_a_policy_of_its_own),
    HKT_CASE("the process has a policy", the_process_has_a_policy),
    HKT_CASE("an inversion may end the process", an_inversion_may_end_the_process),
    HKT_CASE("the environment sets the policy", the_environment_sets_the_policy),
    HKT_CASE("without a hook the report is one warning", without_a_hook_the_report_is_one_warning),
    HKT_CASE("a hook writes the report and takes locks", a_hook_writes_the_report_and_takes_locks),
    HKT_CASE("what happens is counted", what_happens_is_counted),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock_policy", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
