/* SPDX-License-Identifier: MIT */
/*
 * Programs of filters that are ready-made: what a worker may still do that computes.
 *
 * A program is a row of rules, each of which ends in an answer or passes by. What no rule knows
 * is answered with a trap: a call that a later kernel brings is forbidden, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/os.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#if defined(__x86_64__)

enum { X32_CALLS = 0x40000000 };

/* Whatever its arguments are, it concerns this process and what it has open. The most frequent
 * first, for kernels that walk the row at each call. */
static const uint16_t harmless[] = {
    SYS_futex,
    SYS_read,
    SYS_write,
    SYS_clock_gettime,
    SYS_fstat,
    SYS_munmap,
    SYS_madvise,
    SYS_brk,
    SYS_close,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_ppoll,
    SYS_poll,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_exit_group,
    SYS_exit,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_pause,
    SYS_sched_yield,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_lseek,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_pipe,
    SYS_pipe2,
    SYS_eventfd,
    SYS_eventfd2,
    SYS_epoll_create,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_select,
    SYS_pselect6,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_recvfrom,
    SYS_sendto,
    SYS_recvmmsg,
    SYS_sendmmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_sendfile,
    SYS_copy_file_range,
    SYS_splice,
    SYS_tee,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_close_range,
    SYS_sigaltstack,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_membarrier,
    SYS_restart_syscall,
    SYS_getrandom,
    SYS_getcpu,
    SYS_msync,
    SYS_mincore,
    SYS_mlock,
    SYS_munlock,
    SYS_getrusage,
    SYS_times,
    SYS_time,
    SYS_gettimeofday,
    SYS_clock_getres,
    SYS_uname,
    SYS_sysinfo,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getpriority,
    SYS_getrlimit,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_getpgrp,
    SYS_getpgid,
    SYS_getsid,
    SYS_alarm,
    SYS_getitimer,
    SYS_setitimer,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_wait4,
    SYS_waitid,
};

/* They name files, without changing one. */
static const uint16_t looks_at_files[] = {
    SYS_stat,       SYS_lstat,    SYS_statx,      SYS_access,   SYS_faccessat,
    SYS_faccessat2, SYS_readlink, SYS_readlinkat, SYS_getdents, SYS_getdents64,
    SYS_getcwd,     SYS_chdir,    SYS_fchdir,     SYS_statfs,   SYS_fstatfs,
};

/* They are refused by a status, for the C library then does without, or tries another one: to
 * grow a block in place would also show more of a mapped file, and the last two have their flags
 * where a filter cannot see them. */
static const struct {
    uint16_t call;
    uint16_t error;
} refused[] = {
    {SYS_mremap, ENOMEM},        {SYS_sched_setaffinity, EPERM}, {SYS_sched_setscheduler, EPERM},
    {SYS_sched_setparam, EPERM}, {SYS_setpriority, EPERM},       {SYS_clone3, ENOSYS},
    {SYS_openat2, ENOSYS},
};

struct program {
    struct hki_os_filter_step *steps;
    size_t count;
};

static void add(struct program *program, unsigned code, uint32_t value, unsigned jump_true,
                unsigned jump_false)
{
    program->steps[program->count++] =
        (struct hki_os_filter_step){(uint16_t)code, (uint8_t)jump_true, (uint8_t)jump_false, value};
}

static void answer(struct program *program, uint32_t how)
{
    add(program, BPF_RET | BPF_K, how, 0, 0);
}

static void load(struct program *program, size_t offset)
{
    add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* All that is asked of arguments here are numbers of 32 bits: descriptors, flags, processes. */
static void load_argument(struct program *program, unsigned number)
{
    load(program, offsetof(struct seccomp_data, args) + number * sizeof(uint64_t));
}

static void answer_call(struct program *program, unsigned call, uint32_t how)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    answer(program, how);
}

/* The rule of a call: `yes` if the masked argument has this value, else `no`. */
static void answer_bits(struct program *program, unsigned call, unsigned argument, uint32_t mask,
                        uint32_t value, uint32_t yes, uint32_t no)
{
    enum { STEPS = 5 };

    add(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, STEPS);
    load_argument(program, argument);
    add(program, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(program, yes);
    answer(program, no);
}

/* Allowed if the argument is one of these. */
static void allow_values(struct program *program, unsigned call, unsigned argument,
                         const uint32_t *values, size_t count)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, (unsigned)(2 * count + 2));
    load_argument(program, argument);
    for (size_t i = 0; i < count; i++) {
        answer_call(program, values[i], SECCOMP_RET_ALLOW);
    }
    answer(program, SECCOMP_RET_TRAP);
}

/* Numbers of another architecture mean other calls; and those of x32, which is told by a bit of
 * the number alone, are this one's under another name. */
static void refuse_others(struct program *program)
{
    load(program, offsetof(struct seccomp_data, arch));
    add(program, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    answer(program, SECCOMP_RET_KILL_PROCESS);
    load(program, offsetof(struct seccomp_data, nr));
    add(program, BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1);
    answer(program, SECCOMP_RET_KILL_PROCESS);
}

static void add_processes(struct program *program)
{
    uint32_t self = (uint32_t)getpid();

    answer_bits(program, SYS_tgkill, 0, UINT32_MAX, self, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);
    answer_bits(program, SYS_kill, 0, UINT32_MAX, self, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);
    answer_bits(program, SYS_clone, 0, CLONE_THREAD, CLONE_THREAD, SECCOMP_RET_ALLOW,
                SECCOMP_RET_TRAP);
    /* Its handler tells which call was forbidden, and ends the process. */
    answer_bits(program, SYS_rt_sigaction, 0, UINT32_MAX, SIGSYS, SECCOMP_RET_TRAP,
                SECCOMP_RET_ALLOW);
}

/* Reading its own limits: neither another process nor new ones. Of the pointer to these the lower
 * half is looked at: who maps memory where that is zero gains what setrlimit() gives anybody. */
static void add_limits(struct program *program)
{
    enum { STEPS = 6, TO_TRAP = 3 };

    add(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, STEPS);
    load_argument(program, 0);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, TO_TRAP);
    load_argument(program, 2);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, SECCOMP_RET_TRAP);
}

static void add_memory(struct program *program, bool may_load_code)
{
    uint32_t forbidden = PROT_EXEC | (may_load_code ? PROT_WRITE : 0);

    answer_bits(program, SYS_mmap, 2, forbidden, forbidden, SECCOMP_RET_TRAP, SECCOMP_RET_ALLOW);
    answer_bits(program, SYS_mprotect, 2, PROT_EXEC, 0, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);
    answer_bits(program, SYS_fchmod, 1, UINT32_MAX, S_IRUSR | S_IWUSR, SECCOMP_RET_ALLOW,
                SECCOMP_RET_TRAP); /* Of a file in memory that large values are sent in. */
    answer_bits(program, SYS_memfd_create, 1,
                ~(uint32_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), 0,
                SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP);
}

static void add_descriptors(struct program *program)
{
    static const uint32_t fcntls[] = {
        F_DUPFD,     F_GETFD,     F_SETFD,      F_GETFL,     F_GETLK,     F_SETLK,        F_SETLKW,
        F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS, F_DUPFD_CLOEXEC};
    static const uint32_t ioctls[] = {TCGETS, TIOCGWINSZ, FIONREAD};
    static const uint32_t prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE};

    /* Not F_SETFL: flags of an open file are its other holders' as well. Who could make the
     * worker's stop event block could make the parent wait for ever. */
    allow_values(program, SYS_fcntl, 1, fcntls, sizeof(fcntls) / sizeof(fcntls[0]));
    allow_values(program, SYS_ioctl, 1, ioctls, sizeof(ioctls) / sizeof(ioctls[0]));
    allow_values(program, SYS_prctl, 0, prctls, sizeof(prctls) / sizeof(prctls[0]));
}

static void add_files(struct program *program, bool may_read)
{
    const uint32_t changes = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
    uint32_t reads = may_read ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EACCES;

    answer_bits(program, SYS_openat, 2, changes, O_RDONLY, reads, SECCOMP_RET_TRAP);
    answer_bits(program, SYS_open, 1, changes, O_RDONLY, reads, SECCOMP_RET_TRAP);
    /* With an empty path it is about a descriptor: the C library's fstat(). */
    answer_bits(program, SYS_newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH, SECCOMP_RET_ALLOW, reads);
    for (size_t i = 0; i < sizeof(looks_at_files) / sizeof(looks_at_files[0]); i++) {
        answer_call(program, looks_at_files[i], reads);
    }
}

bool hki_os_sandbox_available(void)
{
    return hki_os_filter_available();
}

size_t hki_os_sandbox_build(enum hki_os_sandbox sandbox, bool is_last,
                            struct hki_os_filter_step steps[HKI_OS_FILTER_MAX])
{
    bool may_read = sandbox == HKI_OS_SANDBOX_READ_FILES;
    struct program program = {steps, 0};

    refuse_others(&program);
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        answer_call(&program, harmless[i], SECCOMP_RET_ALLOW);
    }
    add_memory(&program, may_read);
    add_processes(&program);
    add_limits(&program);
    add_descriptors(&program);
    add_files(&program, may_read);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        answer_call(&program, refused[i].call, SECCOMP_RET_ERRNO | refused[i].error);
    }
    if (!is_last) {
        answer_call(&program, SYS_seccomp, SECCOMP_RET_ALLOW); /* One more can only forbid more. */
    }
    answer(&program, SECCOMP_RET_TRAP);
    return program.count;
}

/* What tasks are likely to be caught at; for the others the number has to do. */
#define CALL(name)                                                                                 \
    {                                                                                              \
        SYS_##name, #name                                                                          \
    }

static const struct {
    int number;
    const char *name;
} names[] = {
    CALL(socket),
    CALL(socketpair),
    CALL(connect),
    CALL(bind),
    CALL(listen),
    CALL(accept),
    CALL(accept4),
    CALL(fork),
    CALL(vfork),
    CALL(clone),
    CALL(clone3),
    CALL(execve),
    CALL(execveat),
    CALL(kill),
    CALL(tkill),
    CALL(tgkill),
    CALL(rt_sigaction),
    CALL(rt_sigqueueinfo),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(pidfd_open),
    CALL(pidfd_getfd),
    CALL(pidfd_send_signal),
    CALL(open),
    CALL(openat),
    CALL(openat2),
    CALL(creat),
    CALL(unlink),
    CALL(unlinkat),
    CALL(rename),
    CALL(renameat2),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(rmdir),
    CALL(link),
    CALL(symlink),
    CALL(truncate),
    CALL(chmod),
    CALL(fchmod),
    CALL(fchmodat),
    CALL(chown),
    CALL(fchown),
    CALL(utimensat),
    CALL(chroot),
    CALL(mount),
    CALL(umount2),
    CALL(unshare),
    CALL(setns),
    CALL(mmap),
    CALL(mprotect),
    CALL(remap_file_pages),
    CALL(memfd_create),
    CALL(ioctl),
    CALL(fcntl),
    CALL(prctl),
    CALL(seccomp),
    CALL(prlimit64),
    CALL(setrlimit),
    CALL(setpgid),
    CALL(setsid),
    CALL(setuid),
    CALL(setgid),
    CALL(setresuid),
    CALL(umask),
    CALL(personality),
    CALL(io_uring_setup),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(keyctl),
    CALL(shmget),
    CALL(shmat),
    CALL(inotify_init1),
    CALL(signalfd4),
    CALL(syslog),
};

const char *hki_os_call_name(int number)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    return NULL;
}

#else

bool hki_os_sandbox_available(void)
{
    errno = ENOSYS;
    return false;
}

const char *hki_os_call_name(int number)
{
    (void)number;
    return NULL;
}

size_t hki_os_sandbox_build(enum hki_os_sandbox sandbox, bool is_last,
                            struct hki_os_filter_step steps[HKI_OS_FILTER_MAX])
{
    (void)sandbox;
    (void)is_last;
    (void)steps;
    errno = ENOSYS;
    return 0;
}

#endif
