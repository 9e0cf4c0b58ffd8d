/* SPDX-License-Identifier: MIT */
/*
 * Threads that end where they should not, are cancelled, or are interrupted by signals: docs/
 * misuse.md says what is promised.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/fixture.h"
#include "tests/promise_fixture.h"

/* --- A thread that ends inside a function that the library has called --- */

HK_TASK(leaves)
{
    pthread_exit(NULL);
}

static void leave_callback(hk_future *future, void *arg)
{
    (void)future;
    pthread_exit(arg);
}

static void submit_leaves(const char *spec)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;

    if (hk_executor_open(spec, &executor) == HK_OK &&
        hk_submit(executor, leaves, NULL, 0, NULL, &future) == HK_OK) {
        (void)!hk_future_wait(future, HK_FOREVER);
    }
}

static void *submit_leaves_inline(void *arg)
{
    submit_leaves("inline");
    return arg;
}

static void in_thread(void *(*fn)(void *arg))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, fn, NULL) == 0) {
        pthread_join(thread, NULL);
    }
}

static void on_threads(void)
{
    submit_leaves("threads:2");
}

static void on_serial(void)
{
    submit_leaves("serial:threads:2");
}

static void on_inline(void)
{
    in_thread(submit_leaves_inline);
}

static void on_replay(void)
{
    submit_leaves("replay:1");
}

static hk_status fork_leaves(hk_scope *scope, void *arg)
{
    (void)scope;
    pthread_exit(arg);
}

HK_TASK(forks_one_that_leaves)
{
    hk_scope scope;
    hk_forked record;

    (void)hk_scope_begin(&scope, call);
    (void)hk_fork(&scope, &record, fork_leaves, NULL);
    return hk_scope_end(&scope);
}

static void in_scope(void)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;

    if (hk_executor_open("threads:2", &executor) == HK_OK &&
        hk_submit(executor, forks_one_that_leaves, NULL, 0, NULL, &future) == HK_OK) {
        (void)!hk_future_wait(future, HK_FOREVER);
    }
}

static void *call_back(void *arg)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;

    if (hk_promise_create(&promise, &future) == HK_OK &&
        hk_future_on_done(future, NULL, leave_callback, NULL, NULL) == HK_OK) {
        (void)!hk_promise_set(promise, NULL, 0);
    }
    return arg;
}

static void in_callback(void)
{
    in_thread(call_back);
}

static hk_status leave_once(void *arg)
{
    pthread_exit(arg);
}

static void *run_once(void *arg)
{
    static hk_once once = HK_ONCE_INIT("once");

    (void)!hk_once_run(&once, leave_once, NULL);
    return arg;
}

static void in_once(void)
{
    in_thread(run_once);
}

static hk_status leave_turns(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    (void)begin;
    (void)end;
    pthread_exit(context);
}

static void *run_range(void *arg)
{
    hk_executor *executor = NULL;
    hk_range range;

    if (hk_executor_open("inline", &executor) == HK_OK) {
        (void)!hk_parallel_for(&range, executor, 0, 4, leave_turns, NULL, NULL);
    }
    return arg;
}

static void in_range(void)
{
    in_thread(run_range);
}

static hk_status leave_initialiser(hk_call *call, void *arg, void **local)
{
    (void)call;
    (void)local;
    pthread_exit(arg);
}

static void in_initialiser(void)
{
    hk_executor *executor = NULL;

    if (hk_thread_pool_create(&(hk_executor_options){.initializer = leave_initialiser},
                              &executor) == HK_OK) {
        (void)!hk_executor_prestart(executor, HK_FOREVER);
    }
}

static void leave_visit(void *object, void *user)
{
    (void)object;
    pthread_exit(user);
}

static void *visit_locals(void *arg)
{
    static int something;
    static hk_local local = HK_LOCAL_INIT(NULL, NULL, NULL);

    if (hk_local_set(&local, &something) == HK_OK) {
        (void)!hk_local_each(&local, leave_visit, NULL);
    }
    return arg;
}

static void leave_fold(void *total, const void *object)
{
    (void)object;
    pthread_exit(total);
}

static void *fold_locals(void *arg)
{
    static int something;
    static int retired;
    static hk_local local = HK_LOCAL_FOLD_INIT(NULL, NULL, NULL, leave_fold, &retired);

    if (hk_local_set(&local, &something) == HK_OK) {
        (void)!hk_local_fold(&local, &retired);
    }
    return arg;
}

static void in_fold(void)
{
    in_thread(fold_locals);
}

static void in_visit(void)
{
    in_thread(visit_locals);
}

static void run(void *arg)
{
    void (*fn)(void);

    memcpy(&fn, arg, sizeof(fn));
    fn();
}

static void a_thread_that_ends_inside_stops_the_program(void)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } places[] = {
        {"threads", on_threads}, {"serial", on_serial}, {"inline", on_inline},
        {"replay", on_replay},   {"scope", in_scope},   {"callback", in_callback},
        {"once", in_once},       {"range", in_range},   {"initialiser", in_initialiser},
        {"visit", in_visit},     {"fold", in_fold},
    };

    if (HKI_ADDRESS_SANITIZER) {
        return; /* It takes the stack that pthread_exit() left for one still in use. */
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct hkt_child child;
        void (*fn)(void) = places[i].fn;

        hkt_run_in_child(run, &fn, &child);
        if (child.term_signal != SIGABRT ||
            strstr(child.output, "ended inside a task, or another function") == NULL) {
            printf("    %s: %s\n", places[i].name, child.output);
        }
        HKT_EQ_INT(child.term_signal, SIGABRT);
        HKT_TRUE(strstr(child.output, "ended inside a task, or another function") != NULL);
    }
}

/* --- Cancelled threads --- */

/* A worker asked to go does not: it would take its task with it. */
HK_TASK(is_cancelled)
{
    (void)pthread_cancel(pthread_self());
    pthread_testcancel();
    (void)!write(-1, "", 0);
    return hk_return(call, "alive", 6);
}

static void a_worker_cannot_be_cancelled(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_future *future = NULL;

    for (int i = 0; i < 3; i++) {
        HKT_OK_FATAL(hk_submit(pool, is_cancelled, NULL, 0, NULL, &future));
        hkt_expect_end(future, HK_OK);
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* All that follows, a thread does with a cancel pending: nothing of it may end the thread. */
struct cancelled {
    hk_executor *pool;
    hk_queue *queue;
    hk_completion *completion;
    hk_lock lock;
    int log_fd;
    unsigned passed;
};

static void use_queue(struct cancelled *all)
{
    void *item = NULL;
    int fd = -1;

    HKT_OK(hk_queue_fd(all->queue, &fd));
    HKT_OK(hk_queue_put(all->queue, all, HK_FOREVER));
    HKT_OK(hk_queue_get(all->queue, HK_FOREVER, &item));
    HKT_STATUS(hk_queue_get(all->queue, HK_MS(1), &item), HK_ETIMEDOUT);
    all->passed++;
}

static void use_futures(struct cancelled *all)
{
    hk_future *future = NULL;
    int fd = -1;

    HKT_OK(hk_submit(all->pool, hkt_nothing, NULL, 0, NULL, &future));
    HKT_OK(hk_future_fd(future, &fd));
    HKT_OK(hk_completion_fd(all->completion, &fd));
    HKT_OK(hk_completion_add(all->completion, future, 0));
    HKT_OK(hk_completion_next(all->completion, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_future_wait(future, HK_FOREVER));
    hk_future_unref(future);
    all->passed++;
}

static void use_pools(struct cancelled *all)
{
    hk_executor *own = NULL;

    HKT_OK(hk_executor_open("threads:2", &own));
    HKT_OK(hk_executor_prestart(own, HK_FOREVER));
    HKT_OK(hk_executor_restart_workers(own));
    HKT_OK(hk_executor_resize(own, 1));
    HKT_OK(hk_executor_destroy(own));
    all->passed++;
}

static void use_reports(struct cancelled *all)
{
    hk_executor_statistics statistics;

    HKT_OK(hk_waits_dump(all->log_fd));
    HKT_OK(hk_lock_graph_write(all->log_fd));
    HKT_OK(hk_waits_watch(HK_SEC(3600), all->log_fd));
    HKT_OK(hk_waits_watch(0, 0));
    HKT_OK(hk_executor_stats(all->pool, &statistics));
    all->passed++;
}

static void *use_all(void *arg)
{
    struct cancelled *all = arg;

    (void)pthread_cancel(pthread_self());
    use_queue(all);
    use_futures(all);
    use_pools(all);
    use_reports(all);
    HKT_OK(hk_lock_acquire(&all->lock));
    HKT_OK(hk_lock_release(&all->lock));
    pthread_testcancel();
    all->passed = 99;
    return NULL;
}

static void no_call_is_a_cancellation_point(void)
{
    struct cancelled all = {.pool = hkt_pool_create((hk_executor_options){.workers = 1}),
                            .lock = HK_LOCK_INIT("cancelled")};
    int ends[2];
    pthread_t thread;
    void *result = NULL;

    HKT_EQ_INT(pipe(ends), 0);
    all.log_fd = ends[1];
    hkt_be_quiet();
    HKT_OK_FATAL(hk_queue_create(NULL, &all.queue));
    HKT_OK_FATAL(hk_completion_create(&all.completion));
    HKT_EQ_INT(pthread_create(&thread, NULL, use_all, &all), 0);
    pthread_join(thread, &result);
    HKT_EQ_PTR(result, PTHREAD_CANCELED);
    HKT_EQ_INT(all.passed, 4);
    hkt_be_loud();
    HKT_OK(hk_queue_destroy(all.queue));
    hk_completion_destroy(all.completion);
    HKT_OK(hk_lock_destroy(&all.lock));
    HKT_OK(hk_executor_destroy(all.pool));
    close(ends[0]);
    close(ends[1]);
}

/* --- Signal handlers --- */

/* What a handler may call, called in the middle of everything. */
static struct {
    hk_event event;
    hk_semaphore units;
    hk_latch latch;
    hk_future *future;
    hk_cancel_token *token;
    hk_once once;
    atomic_uint released;
    atomic_uint wrong;
    atomic_bool over;
    atomic_bool is_last;
} shared = {.event = HK_EVENT_INIT("told"), .units = HK_SEMAPHORE_INIT("units", 0, 0)};

static void handle(int signal)
{
    int error = errno;
    bool is_right = hk_latch_add(&shared.latch, 1) == HK_OK &&
                    hk_event_set(&shared.event) == HK_OK &&
                    hk_semaphore_release(&shared.units, 1) == HK_OK &&
                    hk_latch_count_down(&shared.latch, 1) == HK_OK;

    (void)signal;
    is_right = is_right && hk_future_state(shared.future) == HK_PENDING &&
               !hk_future_has_ended(shared.future) && !hk_cancel_token_is_fired(shared.token) &&
               !hk_once_is_done(&shared.once) && hk_semaphore_value(&shared.units) <= 1000000 &&
               hk_now_ns() > 0 && hk_strerror(HK_EFULL) != NULL;
    (void)hk_event_is_set(&shared.event);
    (void)hk_latch_count(&shared.latch);
    atomic_fetch_add(&shared.released, 1);
    if (!is_right || errno != error) {
        atomic_fetch_add(&shared.wrong, 1);
    }
}

static void *take_units(void *arg)
{
    unsigned *taken = arg;

    while (hk_semaphore_acquire(&shared.units, 1, HK_FOREVER) == HK_OK) {
        ++*taken;
        (void)hk_event_reset(&shared.event);
        if (atomic_load(&shared.is_last) && hk_semaphore_value(&shared.units) == 0) {
            break;
        }
    }
    return NULL;
}

HK_TASK(works_a_little)
{
    hk_future *future = NULL;
    hk_status status = hk_submit(hk_call_executor(call), hkt_nothing, NULL, 0, NULL, &future);

    status = status == HK_OK ? hk_future_wait(future, HK_FOREVER) : status;
    hk_future_unref(future);
    return status;
}

struct user {
    hk_executor *pool;
    hk_queue *queue;
    unsigned rounds;
};

/* Everything that handlers may come in between of. */
static void *use_everything(void *arg)
{
    struct user *user = arg;
    static hk_lock lock = HK_LOCK_INIT("interrupted");

    while (!atomic_load(&shared.over)) {
        hk_future *future = NULL;
        void *item = NULL;

        HKT_OK(hk_submit(user->pool, works_a_little, NULL, 0, NULL, &future));
        HKT_OK(hk_queue_put(user->queue, user, HK_FOREVER));
        HKT_OK(hk_queue_get(user->queue, HK_FOREVER, &item));
        HKT_OK(hk_lock_acquire(&lock));
        HKT_OK(hk_lock_release(&lock));
        HKT_OK(hk_future_wait(future, HK_FOREVER));
        hk_future_unref(future);
        user->rounds++;
    }
    return NULL;
}

static void send_signals(const pthread_t *threads, size_t count, unsigned signals)
{
    for (unsigned i = 0; i < signals; i++) {
        /* To threads of ours, and to whichever of the process, workers too. */
        if (i % 4 == 3) {
            (void)kill(getpid(), SIGUSR1);
        } else {
            (void)pthread_kill(threads[i % count], SIGUSR1);
        }
    }
}

static void handlers_may_tell_at_any_moment(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    struct sigaction before;
    hk_promise *promise = NULL;
    struct user users[2] = {{NULL, NULL, 0}, {NULL, NULL, 0}};
    pthread_t threads[3];
    unsigned taken = 0;

    HKT_OK_FATAL(hk_promise_create(&promise, &shared.future));
    HKT_OK_FATAL(hk_cancel_token_create(NULL, &shared.token));
    sigaction(SIGUSR1, &action, &before);
    users[0].pool = users[1].pool = hkt_pool_create((hk_executor_options){.workers = 2});
    HKT_OK_FATAL(hk_queue_create(NULL, &users[0].queue));
    users[1].queue = users[0].queue;
    HKT_EQ_INT(pthread_create(&threads[0], NULL, use_everything, &users[0]), 0);
    HKT_EQ_INT(pthread_create(&threads[1], NULL, use_everything, &users[1]), 0);
    HKT_EQ_INT(pthread_create(&threads[2], NULL, take_units, &taken), 0);
    send_signals(threads, 3, 20000 / hkt_slowness());
    atomic_store(&shared.over, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    HKT_OK(hk_executor_destroy(users[0].pool));
    action.sa_handler = SIG_IGN; /* Takes back those that have not come yet. */
    sigaction(SIGUSR1, &action, NULL);
    atomic_store(&shared.is_last, true);
    HKT_OK(hk_semaphore_release(&shared.units, 1));
    pthread_join(threads[2], NULL);
    sigaction(SIGUSR1, &before, NULL);
    HKT_TRUE(atomic_load(&shared.released) > 0);
    HKT_EQ_INT(taken, atomic_load(&shared.released) + 1); /* None was lost. */
    HKT_EQ_INT(atomic_load(&shared.wrong), 0);
    HKT_EQ_INT(hk_latch_count(&shared.latch), 0);
    HKT_TRUE(users[0].rounds > 0 && users[1].rounds > 0);
    HKT_OK(hk_queue_destroy(users[0].queue));
    HKT_OK(hk_promise_set(promise, NULL, 0));
    hk_promise_destroy(promise);
    hk_future_unref(shared.future);
    hk_cancel_token_unref(shared.token);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_thread_that_ends_inside_stops_the_program),
    HKT_TEST(a_worker_cannot_be_cancelled),
    HKT_TEST(no_call_is_a_cancellation_point),
    HKT_TEST(handlers_may_tell_at_any_moment),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "misuse_threads", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
