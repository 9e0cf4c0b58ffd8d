/* SPDX-License-Identifier: MIT */
/*
 * absl::Mutex, twice: without and with its search for lock orders that could
 * deadlock. The mode is one for the process, so it is set before each run.
 *
 * A library built with NDEBUG has no such search, and the call that asks for it does
 * nothing; then there is no second peer.
 */
#include <absl/synchronization/mutex.h>
#include <cstdlib>
#include <new>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_peer.h"

namespace
{

typedef absl::Mutex lock_type;

void lock_begin(lock_type *lock)
{
    new (lock) absl::Mutex;
}

void lock_end(lock_type *lock)
{
    lock->~Mutex();
}

inline void lock_take(lock_type *lock)
{
    lock->Lock();
}

inline void lock_give(lock_type *lock)
{
    lock->Unlock();
}

#include "bench/sync/lock_loops.h"

void ignore_orders()
{
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

void report_orders()
{
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kReport);
}

} // namespace

extern "C" {

const struct lock_peer lock_absl = {LOCK_LOOPS, ignore_orders, nullptr};
#ifdef BENCH_ABSL_HAS_DETECTION
const struct lock_peer lock_absl_report = {LOCK_LOOPS, report_orders, nullptr};
#else
const auto unused = report_orders;
#endif

} // extern "C"
