/* SPDX-License-Identifier: MIT */
/*
 * std::mutex, for the sake of std::scoped_lock: the usual way to take several locks
 * without a deadlock. It tries, and begins anew with the one that was taken.
 */
#include <cstdlib>
#include <mutex>
#include <new>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_peer.h"

namespace
{

typedef std::mutex lock_type;

void lock_begin(lock_type *lock)
{
    new (lock) std::mutex;
}

void lock_end(lock_type *lock)
{
    lock->~mutex();
}

inline void lock_take(lock_type *lock)
{
    lock->lock();
}

inline void lock_give(lock_type *lock)
{
    lock->unlock();
}

#include "bench/sync/lock_loops.h"

void take_many(void *locks, size_t count, uint64_t turns)
{
    lock_cell *c = static_cast<lock_cell *>(locks);

    for (uint64_t turn = 0; turn < turns; turn++) {
        if (count == 2) {
            std::scoped_lock all(c[0].lock, c[1].lock);
            bench_spin(0);
        } else if (count == 8) {
            std::scoped_lock all(c[0].lock, c[1].lock, c[2].lock, c[3].lock, c[4].lock, c[5].lock,
                                 c[6].lock, c[7].lock);
            bench_spin(0);
        } else {
            bench_die("std::scoped_lock of another number");
        }
    }
}

} // namespace

extern "C" const struct lock_peer lock_std = {LOCK_LOOPS, nullptr, take_many};
