/* SPDX-License-Identifier: MIT */
/* The part of base/os.h that is about filters of system calls: the kernel's seccomp, with programs
 * for its classic packet filter. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/os.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* Of si_code; in a header that is at odds with signal.h. */
#endif

_Static_assert(sizeof(struct hki_os_filter_step) == sizeof(struct sock_filter) &&
                   offsetof(struct hki_os_filter_step, value) == offsetof(struct sock_filter, k),
               "the kernel takes the array as it lies");

bool hki_os_give_up_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool hki_os_filter_available(void)
{
    uint32_t trap = SECCOMP_RET_TRAP;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trap) == 0;
}

bool hki_os_filter_install(const struct hki_os_filter_step *steps, size_t count)
{
    struct sock_fprog program = {(unsigned short)count, (struct sock_filter *)(void *)steps};
    /* For all threads of the process: an initialiser may have started some. */
    long other = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);

    if (other > 0) {
        errno = EACCES; /* One of them has a filter that this one does not. */
    }
    return other == 0;
}

int hki_os_signal_call(const void *info)
{
    const siginfo_t *signal = info;

    return signal->si_signo == SIGSYS && signal->si_code == SYS_SECCOMP ? signal->si_syscall : -1;
}

/* --- Whether a program is one --------------------------------------------------- */

enum { SCRATCH_WORDS = 16, DATA_BYTES = sizeof(struct seccomp_data), SHIFTS = 32 };

static bool arithmetic_is_sound(const struct hki_os_filter_step *step)
{
    bool by_number = BPF_SRC(step->code) == BPF_K;

    switch (BPF_OP(step->code)) {
    case BPF_ADD:
    case BPF_SUB:
    case BPF_MUL:
    case BPF_AND:
    case BPF_OR:
    case BPF_XOR:
        return true;
    case BPF_DIV:
        return !by_number || step->value != 0;
    case BPF_LSH:
    case BPF_RSH:
        return !by_number || step->value < SHIFTS;
    default:
        return step->code == (BPF_ALU | BPF_NEG);
    }
}

/* `left`: steps that follow it. */
static bool jump_is_sound(const struct hki_os_filter_step *step, size_t left)
{
    switch (BPF_OP(step->code)) {
    case BPF_JA:
        return step->code == (BPF_JMP | BPF_JA) && step->value < left;
    case BPF_JEQ:
    case BPF_JGE:
    case BPF_JGT:
    case BPF_JSET:
        return step->jump_true < left && step->jump_false < left;
    default:
        return false;
    }
}

static bool step_is_sound(const struct hki_os_filter_step *step, size_t left)
{
    switch (step->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return step->value < DATA_BYTES && step->value % sizeof(uint32_t) == 0;
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
        return true;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return step->value < SCRATCH_WORDS;
    default:
        return (step->code & ~(0xf0 | BPF_X | BPF_ALU)) == 0 && BPF_CLASS(step->code) == BPF_ALU
                   ? arithmetic_is_sound(step)
                   : BPF_CLASS(step->code) == BPF_JMP &&
                         (step->code & ~(0xf0 | BPF_X | BPF_JMP)) == 0 && jump_is_sound(step, left);
    }
}

/* Jumps go forward alone, so one pass tells which words of the scratch memory are written on
 * every way to a step. */
static bool reads_what_was_written(const struct hki_os_filter_step *steps, size_t count)
{
    uint16_t written[HKI_OS_FILTER_MAX];
    uint16_t now = 0;

    for (size_t i = 0; i < count; i++) {
        written[i] = UINT16_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        const struct hki_os_filter_step *step = &steps[i];
        size_t to_true = i + 1 + step->jump_true;
        size_t to_false = i + 1 + step->jump_false;

        now &= written[i];
        if (step->code == BPF_ST || step->code == BPF_STX) {
            now |= (uint16_t)(1U << step->value);
        } else if (step->code == (BPF_LD | BPF_MEM) || step->code == (BPF_LDX | BPF_MEM)) {
            if ((now >> step->value & 1) == 0) {
                return false;
            }
        } else if (BPF_CLASS(step->code) == BPF_JMP) {
            to_true = step->code == (BPF_JMP | BPF_JA) ? i + 1 + step->value : to_true;
            to_false = step->code == (BPF_JMP | BPF_JA) ? to_true : to_false;
            written[to_true] &= now;
            written[to_false] &= now;
            now = UINT16_MAX;
        }
    }
    return true;
}

bool hki_os_filter_sound(const struct hki_os_filter_step *steps, size_t count)
{
    if (count == 0 || count > HKI_OS_FILTER_MAX || BPF_CLASS(steps[count - 1].code) != BPF_RET) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!step_is_sound(&steps[i], count - 1 - i)) {
            return false;
        }
    }
    return reads_what_was_written(steps, count);
}
