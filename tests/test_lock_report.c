/* SPDX-License-Identifier: MIT */
/* What is told of an inversion, to whom, and what else is done about it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/order_fixture.h"

static struct hkt_reports reports;

/* What was logged: lines of text, and how often. */
struct journal {
    unsigned count;
    hk_log_level level;
    char text[HKT_TEXT_BYTES];
};

static void write_journal(hk_log_level level, const char *text, void *arg)
{
    struct journal *journal = arg;

    journal->count++;
    journal->level = level;
    snprintf(journal->text, sizeof(journal->text), "%s", text);
}

/* What hk_lock_graph_write() or the like has written. */
static void read_all(FILE *file, char *text, size_t size)
{
    size_t length;

    rewind(file);
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
}

static FILE *open_file(void)
{
    FILE *file = tmpfile();

    HKT_TRUE_FATAL(file != NULL);
    return file;
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static void expect_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        hkt_check_str(HKT_SITE(false), text, part, "the text has this part");
    }
}

/* --- The text ---------------------------------------------------------------------- */

static const hk_site audit_journal = {"audit.c", 17, "audit_day"};
static const hk_site audit_accounts = {"audit.c", 19, "audit_day"};
static const hk_site transfer_accounts = {"bank.c", 42, "transfer"};
static const hk_site transfer_journal = {"bank.c", 43, "transfer"};

/* The two go against each other; what came of the second. */
static hk_status audit_and_transfer(struct hkt_lock *accounts, struct hkt_lock *journal)
{
    struct hkt_holder holder = {.count = 0};

    HKT_OK(hkt_take_at(&audit_journal, &holder, journal));
    HKT_OK(hkt_take_at(&audit_accounts, &holder, accounts));
    hkt_order_drop(&holder);
    HKT_OK(hkt_take_at(&transfer_accounts, &holder, accounts));
    return hkt_take_at(&transfer_journal, &holder, journal);
}

static void a_report_tells_who_what_where_and_what_to_do(void)
{
    struct hkt_lock accounts;
    struct hkt_lock journal;
    char line[256];

    hkt_order_open(&reports);
    hkt_lock_init(&accounts, "accounts");
    hkt_lock_init(&journal, "journal");
    HKT_STATUS(audit_and_transfer(&accounts, &journal), HK_EORDER);
    HKT_EQ_INT(reports.policy, HK_LOCK_REFUSE);
    /* The thread as in the reports of waits; its name is cut to what the system keeps. */
    snprintf(line, sizeof(line), "thread test_lock_repor (%d) holds \"accounts\" and wants",
             gettid());
    expect_text(reports.text, line);
    expect_text(reports.text, "holds \"accounts\" and wants \"journal\"\n");
    snprintf(line, sizeof(line), "\"accounts\" (%p) taken at bank.c:42 (transfer)\n",
             (void *)&accounts);
    expect_text(reports.text, line);
    snprintf(line, sizeof(line), "\"journal\" (%p) wanted at bank.c:43 (transfer)\n",
             (void *)&journal);
    expect_text(reports.text, line);
    expect_text(reports.text, " 1.  \"journal\" before \"accounts\", first seen in thread ");
    expect_text(reports.text, " taken at audit.c:17 (audit_day)\n");
    expect_text(reports.text, " wanted at audit.c:19 (audit_day)\n");
    expect_text(reports.text, "take \"journal\" before \"accounts\" here too");
    expect_text(reports.text, "hk_lock_acquire_many()");
    expect_text(reports.text, "hk_lock_allow()");
    expect_text(reports.text, "HK_EORDER");
    /* Both steps, each with the calls that led there. */
    HKT_EQ_INT(count_of(reports.text, " #0  "), 2);
    HKT_TRUE(reports.edges[0].frame_count > 0);
    HKT_TRUE(reports.edges[1].frame_count > 0);
    HKT_TRUE(reports.text[strlen(reports.text) - 1] != '\n');
    hkt_order_close();
}

static void an_edge_tells_all_of_one_step(void)
{
    struct hkt_lock accounts;
    struct hkt_lock journal;
    const hk_lock_edge *edge = &reports.edges[1];

    hkt_order_open(&reports);
    hkt_lock_init(&accounts, "accounts");
    hkt_lock_init(&journal, NULL);
    HKT_STATUS(audit_and_transfer(&accounts, &journal), HK_EORDER);
    HKT_EQ_STR(edge->from_name, "");
    HKT_EQ_STR(edge->to_name, "accounts");
    HKT_EQ_PTR(edge->from_lock, &journal);
    HKT_EQ_PTR(edge->to_lock, &accounts);
    HKT_EQ_PTR(edge->from_site, &audit_journal);
    HKT_EQ_PTR(edge->to_site, &audit_accounts);
    HKT_EQ_INT(edge->thread_id, gettid());
    HKT_TRUE(edge->thread_name[0] != '\0');
    HKT_EQ_STR(edge->thread_name, reports.edges[0].thread_name);
    hkt_order_close();
}

static void locks_without_name_or_site_are_told_too(void)
{
    struct hkt_lock locks[2];
    struct hkt_holder holder = {.count = 0};
    char line[64];

    hkt_order_open(&reports);
    hkt_locks_init(locks, 2);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_take_at(NULL, &holder, &locks[1]));
    HKT_STATUS(hkt_take_at(NULL, &holder, &locks[0]), HK_EORDER);
    snprintf(line, sizeof(line), "holds lock %p and wants lock %p", (void *)&locks[1],
             (void *)&locks[0]);
    expect_text(reports.text, line);
    expect_text(reports.text, "taken at a place that is not known");
    hkt_order_close();
}

static void all_that_is_held_is_told(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.count = 0};

    hkt_order_open(&reports);
    hkt_lock_init(&locks[0], "inner");
    hkt_lock_init(&locks[1], "outer");
    hkt_lock_init(&locks[2], "middle");
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_take(&holder, &locks[1]));
    HKT_OK(hkt_take(&holder, &locks[2]));
    HKT_STATUS(hkt_take(&holder, &locks[0]), HK_EORDER);
    HKT_EQ_INT(count_of(reports.text, "\"middle\""), 1);
    HKT_TRUE(strstr(reports.text, "\"outer\"") < strstr(reports.text, "\"middle\""));
    hkt_order_close();
}

static void names_are_cut_and_made_harmless(void)
{
    /* 47 bytes would end in the middle of the last letter. */
    const char *accents = "\303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244"
                          "\303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244"
                          "\303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244";
    struct hkt_lock locks[2];

    hkt_order_open(&reports);
    hkt_lock_init(&locks[0], accents);
    hkt_lock_init(&locks[1], "a\"b\\c\nd\001e");
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_STATUS(hkt_order_nest(&locks[1], &locks[0]), HK_EORDER);
    HKT_EQ_INT(strlen(reports.edges[0].to_name), 46);
    HKT_TRUE(strncmp(reports.edges[0].to_name, accents, 46) == 0);
    HKT_EQ_STR(reports.edges[0].from_name, "a\"b\\c\nd\001e");
    expect_text(reports.text, "holds \"a\\\"b\\\\c\\nd\\x01e\" and wants");
    hkt_order_close();
}

static void two_of_a_class_are_told_as_such(void)
{
    struct hkt_lock locks[2];

    hkt_order_open(&reports);
    hkt_lock_init(&locks[0], "node");
    locks[1] = locks[0];
    HKT_STATUS(hkt_order_nest(&locks[0], &locks[1]), HK_EORDER);
    expect_text(reports.text, "two locks of class \"node\" at once");
    expect_text(reports.text, "subclass");
    expect_text(reports.text, "hk_lock_acquire_many()");
    hkt_order_close();
}

/* --- Where it goes ----------------------------------------------------------------- */

static void without_a_hook_it_goes_to_the_log(void)
{
    struct journal journal = {.count = 0};
    struct hkt_lock locks[2];

    hkt_order_open(&reports);
    hk_on_lock_report(NULL, NULL);
    hk_on_log(write_journal, &journal);
    hkt_lock_init(&locks[0], "first");
    hkt_lock_init(&locks[1], "second");
    HKT_STATUS(audit_and_transfer(&locks[0], &locks[1]), HK_EORDER);
    hk_on_log(NULL, NULL);
    HKT_EQ_INT(journal.count, 1);
    HKT_EQ_INT(journal.level, HK_LOG_WARNING);
    HKT_TRUE(strstr(journal.text, "lock order inversion") == journal.text);
    /* The whole of it. */
    expect_text(journal.text, "This pair is reported once.");
    HKT_EQ_INT(reports.count, 0);
    hkt_order_close();
}

/* A hook that is wrong itself is refused, but does not report for ever. */
static struct hkt_lock hook_locks[2];
static unsigned hook_calls;

static void wrong_hook(const hk_lock_report *report, void *arg)
{
    (void)report;
    (void)arg;
    hook_calls++;
    HKT_OK(hkt_order_nest(&hook_locks[0], &hook_locks[1]));
    HKT_STATUS(hkt_order_nest(&hook_locks[1], &hook_locks[0]), HK_EORDER);
}

static void a_hook_may_take_locks(void)
{
    struct hkt_lock locks[2];

    hkt_order_open(&reports);
    hk_on_lock_report(wrong_hook, NULL);
    hook_calls = 0;
    hkt_locks_init(hook_locks, 2);
    hkt_locks_init(locks, 2);
    HKT_STATUS(audit_and_transfer(&locks[0], &locks[1]), HK_EORDER);
    HKT_EQ_INT(hook_calls, 1);
    /* What was not reported then is reported when it happens elsewhere. */
    HKT_STATUS(hkt_order_nest(&hook_locks[1], &hook_locks[0]), HK_EORDER);
    HKT_EQ_INT(hook_calls, 2);
    hkt_order_close();
}

/* --- Policies ---------------------------------------------------------------------- */

static void report_goes_on_and_learns_the_rest(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.policy = HK_LOCK_REPORT};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    for (int round = 0; round < 2; round++) {
        HKT_OK(hkt_take(&holder, &locks[2]));
        HKT_OK(hkt_take(&holder, &locks[1]));
        HKT_OK(hkt_take(&holder, &locks[0]));
        HKT_EQ_INT(holder.count, 3);
        hkt_order_drop(&holder);
        HKT_EQ_INT(reports.count, 1);
    }
    HKT_EQ_INT(reports.policy, HK_LOCK_REPORT);
    expect_text(reports.text, "goes on");
    HKT_EQ_INT(hkt_order_stats().edges, 3);
    HKT_EQ_INT(hkt_order_stats().inversions, 1);
    HKT_STATUS(hkt_order_nest(&locks[0], &locks[2]), HK_EORDER);
    hkt_order_close();
}

static void off_neither_learns_nor_judges(void)
{
    struct hkt_lock locks[2];

    hkt_order_open(&reports);
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF));
    hkt_locks_init(locks, 2);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
    HKT_EQ_INT(hkt_order_stats().checks, 0);
    HKT_EQ_INT(hkt_order_stats().nodes, 0);
    /* A change makes all chains unknown. */
    HKT_OK(hk_lock_policy_set(HK_LOCK_REFUSE));
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_STATUS(hkt_order_nest(&locks[1], &locks[0]), HK_EORDER);
    hkt_order_close();
}

static void a_policy_is_one_of_those_there_are(void)
{
    hkt_order_open(&reports);
    HKT_STATUS(hk_lock_policy_set((hk_lock_policy)5), HK_EINVAL);
    HKT_STATUS(hk_lock_policy_set((hk_lock_policy)-1), HK_EINVAL);
    HKT_EQ_INT(hk_lock_policy_get(), HK_LOCK_REFUSE);
    for (int policy = HK_LOCK_OFF; policy <= HK_LOCK_ABORT; policy++) {
        HKT_OK(hk_lock_policy_set((hk_lock_policy)policy));
        HKT_EQ_INT(hk_lock_policy_get(), policy);
        HKT_EQ_INT(hki_order_policy(HK_LOCK_DEFAULT), policy);
        HKT_EQ_INT(hki_order_policy(HK_LOCK_REPORT), HK_LOCK_REPORT);
    }
    HKT_STATUS(hk_lock_order_stats(NULL), HK_EINVAL);
    hkt_order_close();
}

static void invert_with_abort(void *arg)
{
    struct hkt_lock locks[2];

    (void)arg;
    hk_on_lock_report(NULL, NULL);
    HKT_OK(hk_lock_policy_set(HK_LOCK_ABORT));
    hkt_lock_init(&locks[0], "first");
    hkt_lock_init(&locks[1], "second");
    (void)audit_and_transfer(&locks[0], &locks[1]);
    exit(EXIT_SUCCESS);
}

static void abort_reports_and_ends_the_process(void)
{
    struct hkt_child child;

    hkt_order_open(&reports);
    hkt_run_in_child(invert_with_abort, NULL, &child);
    HKT_EQ_INT(child.term_signal, SIGABRT);
    expect_text(child.output, "hocket: warning: lock order inversion");
    expect_text(child.output, "\"first\"");
    hkt_order_close();
}

static void show_policy(void *arg)
{
    static const char *const names[] = {"default", "off", "report", "refuse", "abort"};

    setenv("HOCKET_LOCKCHECK", arg, 1);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    printf("the policy is %s, ", names[hk_lock_policy_get()]);
    setenv("HOCKET_LOCKCHECK", "off", 1);
    printf("and still %s\n", names[hk_lock_policy_get()]);
}

static void the_environment_names_the_policy(void)
{
    char off[] = "off";
    char report[] = "report";
    char refuse[] = "refuse";
    char abort_word[] = "abort";
    char unknown[] = "sometimes";
    struct hkt_child child;

    hkt_run_in_child(show_policy, off, &child);
    HKT_EQ_STR(child.output, "the policy is off, and still off\n");
    hkt_run_in_child(show_policy, report, &child);
    HKT_EQ_STR(child.output, "the policy is report, and still report\n");
    hkt_run_in_child(show_policy, refuse, &child);
    HKT_EQ_STR(child.output, "the policy is refuse, and still refuse\n");
    hkt_run_in_child(show_policy, abort_word, &child);
    HKT_EQ_STR(child.output, "the policy is abort, and still abort\n");
    hkt_run_in_child(show_policy, unknown, &child);
    expect_text(child.output, "the policy is refuse, and still refuse\n");
    expect_text(child.output, "hocket: warning: HOCKET_LOCKCHECK is 'sometimes'");
    expect_text(child.output, "off, report, refuse or abort");
    HKT_EQ_INT(count_of(child.output, "sometimes"), 1);
}

/* --- Graphviz ---------------------------------------------------------------------- */

/* Whether quotes are closed on their line, and what is not quoted is plain. Counts
 * edges and nodes. */
static void expect_dot(const char *text, unsigned nodes, unsigned edges)
{
    bool is_quoted = false;
    size_t length = strlen(text);

    for (const char *at = text; *at != '\0'; at++) {
        if (is_quoted && *at == '\\') {
            at++;
            HKT_TRUE(*at != '\0' && *at != '\n');
        } else if (*at == '"') {
            is_quoted = !is_quoted;
        } else if (is_quoted) {
            HKT_TRUE((unsigned char)*at >= ' ');
        } else {
            HKT_TRUE(strchr("abcdefghijklmnopqrstuvwxyz0123456789_=,;->{}[] \n", *at) != NULL);
        }
    }
    HKT_TRUE(!is_quoted);
    HKT_TRUE(strstr(text, "digraph lock_order {\n") == text);
    HKT_TRUE(length > 2 && strcmp(text + length - 2, "}\n") == 0);
    HKT_EQ_INT(count_of(text, " -> "), edges);
    HKT_EQ_INT(count_of(text, " [label=\""), nodes + edges);
}

static char dot[1 << 20];
static FILE *dot_file;

static void write_dot(const hk_lock_report *report, void *arg)
{
    (void)arg;
    HKT_OK(hk_lock_report_write(report, HK_LOCK_DOT, fileno(dot_file)));
    HKT_STATUS(hk_lock_report_write(report, (hk_lock_format)2, fileno(dot_file)), HK_EINVAL);
    HKT_STATUS(hk_lock_report_write(report, HK_LOCK_DOT, -1), HK_EINVAL);
    HKT_STATUS(hk_lock_report_write(report, HK_LOCK_TEXT, -1), HK_EINVAL);
    HKT_STATUS(hk_lock_report_write(NULL, HK_LOCK_TEXT, fileno(dot_file)), HK_EINVAL);
}

static void a_report_is_a_graph_too(void)
{
    struct hkt_lock locks[3];

    hkt_order_open(&reports);
    hk_on_lock_report(write_dot, NULL);
    hkt_lock_init(&locks[0], "x\"]; } evil \\");
    hkt_lock_init(&locks[1], "two\nlines");
    hkt_lock_init(&locks[2], NULL);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_order_nest(&locks[1], &locks[2]));
    dot_file = open_file();
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    read_all(dot_file, dot, sizeof(dot));
    expect_dot(dot, 3, 3);
    expect_text(dot, "\"x\\\"]; } evil \\\\\"");
    expect_text(dot, "\"two\\\\nlines\"");
    HKT_EQ_INT(count_of(dot, "color=red"), 2); /* The edge, and what is written at it. */
    hkt_order_close();
}

static void write_text(const hk_lock_report *report, void *arg)
{
    HKT_OK(hk_lock_report_write(report, HK_LOCK_TEXT, fileno(dot_file)));
    snprintf(arg, HKT_TEXT_BYTES, "%s\n", report->text);
}

static void a_report_may_be_written_as_text(void)
{
    struct hkt_lock locks[2];
    static char expected[HKT_TEXT_BYTES];

    hkt_order_open(&reports);
    hk_on_lock_report(write_text, expected);
    hkt_locks_init(locks, 2);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    dot_file = open_file();
    HKT_STATUS(hkt_order_nest(&locks[1], &locks[0]), HK_EORDER);
    read_all(dot_file, dot, sizeof(dot));
    HKT_EQ_STR(dot, expected);
    hkt_order_close();
}

static void the_whole_order_is_a_graph(void)
{
    enum { SOME = 200 };
    struct hkt_lock locks[SOME];
    FILE *file = open_file();

    hkt_order_open(&reports);
    HKT_OK(hk_lock_graph_write(fileno(file)));
    read_all(file, dot, sizeof(dot));
    expect_dot(dot, 0, 0);
    hkt_locks_init(locks, SOME);
    for (size_t i = 0; i + 1 < SOME; i++) {
        HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1]));
    }
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    HKT_OK(hki_order_allow(locks[7].identity, locks[9].identity));
    hki_order_forget(locks[SOME - 1].identity);
    file = open_file();
    HKT_OK(hk_lock_graph_write(fileno(file)));
    read_all(file, dot, sizeof(dot));
    /* Without the last, with one that was refused, and one that is allowed. */
    expect_dot(dot, SOME - 1, SOME - 2 + 1 + 1);
    HKT_EQ_INT(count_of(dot, "color=red"), 2);
    HKT_STATUS(hk_lock_graph_write(-1), HK_EINVAL);
    hkt_order_close();
}

static CU_TestInfo texts[] = {
    HKT_TEST(a_report_tells_who_what_where_and_what_to_do),
    HKT_TEST(an_edge_tells_all_of_one_step),
    HKT_TEST(locks_without_name_or_site_are_told_too),
    HKT_TEST(all_that_is_held_is_told),
    HKT_TEST(names_are_cut_and_made_harmless),
    HKT_TEST(two_of_a_class_are_told_as_such),
    HKT_TEST(without_a_hook_it_goes_to_the_log),
    HKT_TEST(a_hook_may_take_locks),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo policies[] = {
    HKT_TEST(report_goes_on_and_learns_the_rest), HKT_TEST(off_neither_learns_nor_judges),
    HKT_TEST(a_policy_is_one_of_those_there_are), HKT_TEST(abort_reports_and_ends_the_process),
    HKT_TEST(the_environment_names_the_policy),   CU_TEST_INFO_NULL,
};

static CU_TestInfo graphs[] = {
    HKT_TEST(a_report_is_a_graph_too),
    HKT_TEST(a_report_may_be_written_as_text),
    HKT_TEST(the_whole_order_is_a_graph),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "texts", .pTests = texts},
    {.pName = "policies", .pTests = policies},
    {.pName = "graphs", .pTests = graphs},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
