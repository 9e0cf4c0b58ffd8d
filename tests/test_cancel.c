/* SPDX-License-Identifier: MIT */
/* Cancel tokens: a tree that fires downwards, once. Tasks that carry one are in
 * test_cancel_task.c. */
#include <string.h>

#include "tests/promise_fixture.h"

static hk_cancel_token *create(hk_cancel_token *parent)
{
    hk_cancel_token *token = NULL;

    HKT_OK_FATAL(hk_cancel_token_create(parent, &token));
    return token;
}

static void a_new_token_has_not_fired(void)
{
    hk_cancel_token *token = create(NULL);

    HKT_TRUE(!hk_cancel_token_is_fired(token));
    HKT_EQ_STR(hk_cancel_token_why(token), "");
    hk_cancel_token_unref(token);
}

static void a_fired_token_stays_fired_with_its_first_reason(void)
{
    hk_cancel_token *token = create(NULL);

    HKT_OK(hk_cancel_token_fire(token, "the first"));
    HKT_TRUE(hk_cancel_token_is_fired(token));
    HKT_EQ_STR(hk_cancel_token_why(token), "the first");
    HKT_OK(hk_cancel_token_fire(token, "the second"));
    HKT_OK(hk_cancel_token_fire(token, NULL));
    HKT_TRUE(hk_cancel_token_is_fired(token));
    HKT_EQ_STR(hk_cancel_token_why(token), "the first");
    hk_cancel_token_unref(token);
}

static void a_reason_may_be_missing(void)
{
    hk_cancel_token *token = create(NULL);

    HKT_OK(hk_cancel_token_fire(token, NULL));
    HKT_TRUE(hk_cancel_token_is_fired(token));
    HKT_EQ_STR(hk_cancel_token_why(token), "");
    HKT_OK(hk_cancel_token_fire(token, "too late"));
    HKT_EQ_STR(hk_cancel_token_why(token), "");
    hk_cancel_token_unref(token);
}

static void a_reason_is_copied_and_cut(void)
{
    hk_cancel_token *token = create(NULL);
    char reason[200];

    memset(reason, 'r', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    HKT_OK(hk_cancel_token_fire(token, reason));
    memset(reason, 'x', sizeof(reason) - 1);
    HKT_EQ_INT(strlen(hk_cancel_token_why(token)), 127);
    HKT_EQ_INT(strspn(hk_cancel_token_why(token), "r"), 127);
    hk_cancel_token_unref(token);
}

static void firing_goes_down_the_tree_alone(void)
{
    hk_cancel_token *root = create(NULL);
    hk_cancel_token *left = create(root);
    hk_cancel_token *right = create(root);
    hk_cancel_token *leaf = create(left);

    HKT_OK(hk_cancel_token_fire(left, "pruned"));
    HKT_TRUE(hk_cancel_token_is_fired(left));
    HKT_TRUE(hk_cancel_token_is_fired(leaf));
    HKT_EQ_STR(hk_cancel_token_why(leaf), "pruned");
    HKT_TRUE(!hk_cancel_token_is_fired(root));
    HKT_TRUE(!hk_cancel_token_is_fired(right));
    /* Then the rest; who fired before keeps the first reason. */
    HKT_OK(hk_cancel_token_fire(root, "felled"));
    HKT_EQ_STR(hk_cancel_token_why(root), "felled");
    HKT_EQ_STR(hk_cancel_token_why(right), "felled");
    HKT_EQ_STR(hk_cancel_token_why(left), "pruned");
    HKT_EQ_STR(hk_cancel_token_why(leaf), "pruned");
    hk_cancel_token_unref(leaf);
    hk_cancel_token_unref(right);
    hk_cancel_token_unref(left);
    hk_cancel_token_unref(root);
}

static void a_child_of_a_fired_token_is_born_fired(void)
{
    hk_cancel_token *root = create(NULL);
    hk_cancel_token *child;

    HKT_OK(hk_cancel_token_fire(root, "before you were born"));
    child = create(root);
    HKT_TRUE(hk_cancel_token_is_fired(child));
    HKT_EQ_STR(hk_cancel_token_why(child), "before you were born");
    hk_cancel_token_unref(root);
    hk_cancel_token_unref(child);
}

static void a_child_keeps_its_parent_and_no_parent_its_child(void)
{
    hk_cancel_token *root = create(NULL);
    hk_cancel_token *middle = create(root);
    hk_cancel_token *leaf = create(middle);
    hk_cancel_token *gone = create(root);

    /* The leaf still hangs on the root, though nobody holds the middle. */
    hk_cancel_token_unref(middle);
    hk_cancel_token_unref(gone);
    HKT_TRUE(!hk_cancel_token_is_fired(leaf));
    HKT_OK(hk_cancel_token_fire(root, "from above"));
    HKT_TRUE(hk_cancel_token_is_fired(leaf));
    HKT_EQ_STR(hk_cancel_token_why(leaf), "from above");
    hk_cancel_token_unref(root);
    HKT_EQ_STR(hk_cancel_token_why(leaf), "from above");
    hk_cancel_token_unref(leaf);
}

static void giving_references_back_never_fires(void)
{
    hk_cancel_token *root = create(NULL);
    hk_cancel_token *child = create(root);

    hk_cancel_token_unref(root);
    HKT_TRUE(!hk_cancel_token_is_fired(child));
    HKT_EQ_PTR(hk_cancel_token_ref(child), child);
    hk_cancel_token_unref(child);
    HKT_TRUE(!hk_cancel_token_is_fired(child));
    HKT_OK(hk_cancel_token_fire(child, NULL));
    HKT_TRUE(hk_cancel_token_is_fired(child));
    hk_cancel_token_unref(child);
}

static void no_token_is_never_fired(void)
{
    HKT_STATUS(hk_cancel_token_create(NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_cancel_token_fire(NULL, "nobody"), HK_EINVAL);
    HKT_TRUE(!hk_cancel_token_is_fired(NULL));
    HKT_EQ_STR(hk_cancel_token_why(NULL), "");
    HKT_EQ_PTR(hk_cancel_token_ref(NULL), NULL);
    hk_cancel_token_unref(NULL);
}

enum { DEPTH = 100000, WIDTH = 10000 };

/* Neither firing nor freeing may need a stack as deep as the tree. */
static void a_deep_tree_fires_and_goes(void)
{
    hk_cancel_token *root = create(NULL);
    hk_cancel_token *leaf = hk_cancel_token_ref(root);

    for (int i = 0; i < DEPTH; i++) {
        hk_cancel_token *child = create(leaf);

        hk_cancel_token_unref(leaf);
        leaf = child;
    }
    HKT_OK(hk_cancel_token_fire(root, "to the bottom"));
    HKT_EQ_STR(hk_cancel_token_why(leaf), "to the bottom");
    hk_cancel_token_unref(root);
    hk_cancel_token_unref(leaf);
}

static void a_wide_tree_fires_everywhere(void)
{
    static hk_cancel_token *children[WIDTH];
    hk_cancel_token *root = create(NULL);

    for (int i = 0; i < WIDTH; i++) {
        children[i] = create(root);
    }
    /* Some leave before, out of order. */
    for (int i = 0; i < WIDTH; i += 3) {
        hk_cancel_token_unref(children[i]);
        children[i] = NULL;
    }
    HKT_OK(hk_cancel_token_fire(root, NULL));
    for (int i = 0; i < WIDTH; i++) {
        HKT_EQ_INT(hk_cancel_token_is_fired(children[i]), children[i] != NULL);
        hk_cancel_token_unref(children[i]);
    }
    hk_cancel_token_unref(root);
}

/* --- Rounds with several threads --------------------------------------------------- */

enum { ROUNDS = 300, CHILDREN = 8 };

struct growth {
    hk_cancel_token *root;
    hk_cancel_token *children[CHILDREN];
    struct hkt_barrier *start;
    int payload; /* Plain: who sees the token fired must see what was written before. */
};

static void grow(void *arg)
{
    struct growth *growth = arg;

    for (int round = 0; round < ROUNDS; round++, growth++) {
        hkt_barrier_wait(growth->start);
        for (int i = 0; i < CHILDREN; i++) {
            growth->children[i] = create(growth->root);
            if (hk_cancel_token_is_fired(growth->children[i])) {
                HKT_EQ_INT(growth->payload, 7);
            }
        }
    }
}

static void a_child_made_while_its_parent_fires_is_fired(void)
{
    static struct growth growths[ROUNDS];
    struct hkt_barrier start;
    struct hkt_thread thread;

    hkt_barrier_init(&start, 2, "the start of a round");
    for (int round = 0; round < ROUNDS; round++) {
        growths[round] = (struct growth){.root = create(NULL), .start = &start};
    }
    hkt_thread_start(&thread, grow, growths);
    for (int round = 0; round < ROUNDS; round++) {
        hkt_barrier_wait(&start);
        growths[round].payload = 7;
        HKT_OK(hk_cancel_token_fire(growths[round].root, "now"));
    }
    hkt_thread_join(&thread);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHILDREN; i++) {
            HKT_TRUE(hk_cancel_token_is_fired(growths[round].children[i]));
            HKT_EQ_STR(hk_cancel_token_why(growths[round].children[i]), "now");
            hk_cancel_token_unref(growths[round].children[i]);
        }
        hk_cancel_token_unref(growths[round].root);
    }
    hkt_barrier_fini(&start);
}

struct firing {
    hk_cancel_token *token;
    struct hkt_barrier *start;
    const char *reason;
};

static void fire_and_let_go(void *arg)
{
    struct firing *firing = arg;

    for (int round = 0; round < ROUNDS; round++, firing++) {
        hkt_barrier_wait(firing->start);
        HKT_OK(hk_cancel_token_fire(firing->token, firing->reason));
        hk_cancel_token_unref(firing->token);
    }
}

static void of_two_that_fire_one_gives_the_reason(void)
{
    static struct firing first[ROUNDS];
    static struct firing second[ROUNDS];
    static hk_cancel_token *leaves[ROUNDS];
    struct hkt_barrier start;
    struct hkt_thread thread;

    hkt_barrier_init(&start, 2, "the start of a round");
    for (int round = 0; round < ROUNDS; round++) {
        hk_cancel_token *root = create(NULL);

        leaves[round] = create(root);
        first[round] = (struct firing){hk_cancel_token_ref(root), &start, "one"};
        second[round] = (struct firing){root, &start, "two"};
    }
    hkt_thread_start(&thread, fire_and_let_go, first);
    fire_and_let_go(second);
    hkt_thread_join(&thread);
    for (int round = 0; round < ROUNDS; round++) {
        const char *why = hk_cancel_token_why(leaves[round]);

        HKT_TRUE(strcmp(why, "one") == 0 || strcmp(why, "two") == 0);
        hk_cancel_token_unref(leaves[round]);
    }
    hkt_barrier_fini(&start);
}

struct farewell {
    hk_cancel_token *token;
    struct hkt_barrier *start;
};

/* Plain reads of the token's own memory, which the other may be about to free. */
static void read_and_let_go(void *arg)
{
    struct farewell *farewell = arg;

    for (int round = 0; round < ROUNDS; round++) {
        hkt_barrier_wait(farewell[round].start);
        HKT_EQ_STR(hk_cancel_token_why(farewell[round].token), "read by both");
        hk_cancel_token_unref(farewell[round].token);
    }
}

static void the_last_reader_frees_a_token(void)
{
    static struct farewell farewells[ROUNDS];
    struct hkt_barrier start;
    struct hkt_thread thread;

    hkt_barrier_init(&start, 2, "the start of a round");
    for (int round = 0; round < ROUNDS; round++) {
        hk_cancel_token *token = create(NULL);

        HKT_OK(hk_cancel_token_fire(token, "read by both"));
        farewells[round] = (struct farewell){hk_cancel_token_ref(token), &start};
    }
    hkt_thread_start(&thread, read_and_let_go, farewells);
    read_and_let_go(farewells);
    hkt_thread_join(&thread);
    hkt_barrier_fini(&start);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a new token has not fired", a_new_token_has_not_fired),
    HKT_CASE("a fired token stays fired, with its first reason",
             a_fired_token_stays_fired_with_its_first_reason),
    HKT_CASE("a reason may be missing", a_reason_may_be_missing),
    HKT_CASE("a reason is copied, and cut to 127 bytes", a_reason_is_copied_and_cut),
    HKT_CASE("firing goes down the tree alone", firing_goes_down_the_tree_alone),
    HKT_CASE("a child of a fired token is born fired", a_child_of_a_fired_token_is_born_fired),
    HKT_CASE("a child keeps its parent, and no parent its child",
             a_child_keeps_its_parent_and_no_parent_its_child),
    HKT_CASE("giving references back never fires", giving_references_back_never_fires),
    HKT_CASE("no token is never fired", no_token_is_never_fired),
    HKT_CASE("a deep tree fires and goes", a_deep_tree_fires_and_goes),
    HKT_CASE("a wide tree fires everywhere", a_wide_tree_fires_everywhere),
    HKT_CASE("a child made while its parent fires is fired",
             a_child_made_while_its_parent_fires_is_fired),
    HKT_CASE("of two that fire, one gives the reason", of_two_that_fire_one_gives_the_reason),
    HKT_CASE("the last reader frees a token", the_last_reader_frees_a_token),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "cancel", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
