/* SPDX-License-Identifier: MIT */
/* Filters of system calls that the application brings: what becomes of good ones and bad ones. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "tests/process_fixture.h"
#include "tests/security_fixture.h"

/* --- Filters of one's own --- */

#define STEP(code, value)                                                                          \
    {                                                                                              \
        (code), 0, 0, (value)                                                                      \
    }
#define JUMP(code, value, yes, no)                                                                 \
    {                                                                                              \
        (code), (yes), (no), (value)                                                               \
    }
#define LOAD_CALL STEP(BPF_LD + BPF_W + BPF_ABS, offsetof(struct seccomp_data, nr))
#define EQUALS    (BPF_JMP + BPF_JEQ + BPF_K)
#define RETURN    (BPF_RET + BPF_K)

static hk_executor *filtered(const hk_filter_step *filter, size_t count, hk_sandbox sandbox)
{
    return hkt_processes((hk_executor_options){.workers = hkt_worker_count(),
                                               .filter = filter,
                                               .filter_count = count,
                                               .sandbox = sandbox});
}

static void an_own_filter_forbids_what_it_says(void)
{
    const hk_filter_step no_uname[] = {
        LOAD_CALL,
        JUMP(EQUALS, SYS_uname, 0, 1),
        STEP(RETURN, SECCOMP_RET_TRAP),
        STEP(RETURN, SECCOMP_RET_ALLOW),
    };
    const struct hkt_deed uname_deed = {SYS_uname, {0}, "system call 63"};
    const struct hkt_deed socket_deed = {SYS_socket, {AF_UNIX, SOCK_STREAM}, "(socket)"};
    hk_executor *pool = filtered(no_uname, 4, HK_SANDBOX_NONE);
    hk_future *future;

    hkt_expect_forbidden(pool, &uname_deed);
    future = hkt_deed_submit(pool, &socket_deed);
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED); /* It could. */
    hk_future_unref(future);
    hkt_processes_end(pool);
    pool = filtered(no_uname, 4, HK_SANDBOX_COMPUTE); /* Both hold. */
    hkt_expect_forbidden(pool, &uname_deed);
    hkt_expect_forbidden(pool, &socket_deed);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_filter_that_kills_at_once_is_told_as_far_as_known(void)
{
    const hk_filter_step no_uname[] = {
        LOAD_CALL,
        JUMP(EQUALS, SYS_uname, 0, 1),
        STEP(RETURN, SECCOMP_RET_KILL_PROCESS),
        STEP(RETURN, SECCOMP_RET_ALLOW),
    };
    const struct hkt_deed uname_deed = {SYS_uname, {0}, "perhaps a filter"};
    hk_executor *pool = filtered(no_uname, 4, HK_SANDBOX_NONE);

    hkt_expect_forbidden(pool, &uname_deed);
    hkt_processes_end(pool);
}

/* Told by the pool's end, instead of by workers that come and go for ever. */
static void a_filter_that_the_loop_cannot_live_with_breaks_the_pool(void)
{
    static const long needed[] = {SYS_futex, SYS_write};

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        const hk_filter_step filter[] = {
            LOAD_CALL,
            JUMP(EQUALS, (uint32_t)needed[i], 0, 1),
            STEP(RETURN, SECCOMP_RET_TRAP),
            STEP(RETURN, SECCOMP_RET_ALLOW),
        };
        hk_executor *pool = filtered(filter, 4, HK_SANDBOX_NONE);
        hk_future *future = hkt_submit_int(pool, hkt_square, 2);

        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EINIT);
        HKT_TRUE(strstr(hk_future_why(future), "system call") != NULL);
        hk_future_unref(future);
        hkt_processes_end(pool);
    }
}

static void senseless_filters_are_refused(void)
{
    static const hk_filter_step bad[][3] = {
        {LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW), LOAD_CALL}, /* No return at the end. */
        {LOAD_CALL, JUMP(EQUALS, 0, 1, 0), STEP(RETURN, SECCOMP_RET_ALLOW)}, /* Beyond it. */
        {LOAD_CALL, JUMP(EQUALS, 0, 0, 200), STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_JMP + BPF_JA, 2), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_JMP + BPF_JA, UINT32_MAX), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_LD + BPF_W + BPF_ABS, 64), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_LD + BPF_W + BPF_ABS, 2), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_LD + BPF_B + BPF_ABS, 0), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_LD + BPF_MEM, 3), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)}, /* Unwritten. */
        {STEP(BPF_ST, 16), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_ALU + BPF_DIV + BPF_K, 0), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(BPF_ALU + BPF_LSH + BPF_K, 32), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
        {STEP(0xffff, 0), LOAD_CALL, STEP(RETURN, SECCOMP_RET_ALLOW)},
    };
    static const hk_filter_step good[] = {STEP(RETURN, SECCOMP_RET_ALLOW)};
    hk_executor_options options = {.workers = 1, .filter = good, .filter_count = 0};
    hk_executor *pool = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options = (hk_executor_options){.workers = 1, .filter = bad[i], .filter_count = 3};
        HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    }
    options.filter = good;
    options.filter_count = 0;
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    options.filter_count = 1025;
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    options.filter = NULL;
    options.filter_count = 1;
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    options = (hk_executor_options){.workers = 1, .sandbox = (hk_sandbox)3};
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    HKT_EQ_PTR(pool, NULL);
}

/* Whether the kernel takes it: in a process that may not survive its answers. */
static bool kernel_takes(const struct hki_os_filter_step *steps, unsigned short count)
{
    enum { REFUSED = 42 };
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    HKT_TRUE_FATAL(pid >= 0);
    if (pid == 0) {
        if (hki_os_give_up_privileges() && !hki_os_filter_install(steps, count)) {
            _exit(REFUSED);
        }
        _exit(0);
    }
    HKT_EQ_INT(waitpid(pid, &status, 0), pid);
    return !WIFEXITED(status) || WEXITSTATUS(status) != REFUSED;
}

/* Steps by a generator, many of which make sense and some do not. */
static void make_up(unsigned *state, struct hki_os_filter_step *steps, int count)
{
    static const uint16_t codes[] = {
        BPF_LD + BPF_W + BPF_ABS,
        BPF_LD + BPF_IMM,
        BPF_LD + BPF_MEM,
        BPF_LDX + BPF_MEM,
        BPF_ST,
        BPF_STX,
        BPF_JMP + BPF_JA,
        BPF_JMP + BPF_JEQ,
        BPF_JMP + BPF_JSET + BPF_X,
        BPF_ALU + BPF_DIV,
        BPF_ALU + BPF_LSH,
        BPF_ALU + BPF_NEG,
        BPF_ALU + BPF_MOD,
        BPF_ALU + BPF_XOR + BPF_X,
        BPF_MISC + BPF_TAX,
        BPF_RET + BPF_K,
        BPF_RET + BPF_A,
        BPF_RET + BPF_X,
        BPF_LD + BPF_W + BPF_LEN,
        BPF_LD + BPF_H + BPF_ABS,
        BPF_JMP + BPF_JGT + BPF_X,
    };

    for (int i = 0; i < count; i++) {
        *state = *state * 1664525U + 1013904223U;
        steps[i].code = codes[(*state >> 8) % (sizeof(codes) / sizeof(codes[0]))];
        steps[i].jump_true = (uint8_t)(*state >> 16 & 3);
        steps[i].jump_false = (uint8_t)(*state >> 18 & 3);
        steps[i].value = *state >> 20 & 0x43;
    }
    if ((*state & 0x1000000) != 0) {
        steps[count - 1].code = BPF_RET + BPF_K;
    }
}

static void our_judgement_of_filters_is_the_kernels(void)
{
    enum { STEPS = 5, EACH = 60 };
    unsigned state = 1;
    unsigned sound = 0;
    unsigned senseless = 0;

    while (sound < EACH || senseless < EACH) {
        struct hki_os_filter_step steps[STEPS];
        bool is_sound;

        make_up(&state, steps, STEPS);
        is_sound = hki_os_filter_sound(steps, STEPS);
        if ((is_sound ? sound++ : senseless++) < EACH) {
            HKT_EQ_INT(kernel_takes(steps, STEPS), is_sound);
        }
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(an_own_filter_forbids_what_it_says),
    HKT_TEST(a_filter_that_kills_at_once_is_told_as_far_as_known),
    HKT_TEST(a_filter_that_the_loop_cannot_live_with_breaks_the_pool),
    HKT_TEST(senseless_filters_are_refused),
    HKT_TEST(our_judgement_of_filters_is_the_kernels),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "filters of one's own", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (!hki_os_sandbox_available()) {
        hkt_none_here("this system has no filters of system calls");
    }
    return hkt_process_main(argc, argv, suites);
}
