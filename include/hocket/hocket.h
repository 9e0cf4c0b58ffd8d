/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Everything at once.
 */
#ifndef HOCKET_HOCKET_H
#define HOCKET_HOCKET_H

#include <hocket/barrier.h>
#include <hocket/buffer.h>
#include <hocket/cancel.h>
#include <hocket/chain.h>
#include <hocket/completion.h>
#include <hocket/cond.h>
#include <hocket/counter.h>
#include <hocket/error.h>
#include <hocket/event.h>
#include <hocket/executor.h>
#include <hocket/executor_ops.h>
#include <hocket/future.h>
#include <hocket/inline_executor.h>
#include <hocket/latch.h>
#include <hocket/local.h>
#include <hocket/lock.h>
#include <hocket/lock_order.h>
#include <hocket/log.h>
#include <hocket/map.h>
#include <hocket/memory.h>
#include <hocket/once.h>
#include <hocket/process_pool.h>
#include <hocket/promise.h>
#include <hocket/queue.h>
#include <hocket/range.h>
#include <hocket/replay.h>
#include <hocket/ring.h>
#include <hocket/rwlock.h>
#include <hocket/scope.h>
#include <hocket/semaphore.h>
#include <hocket/serial.h>
#include <hocket/status.h>
#include <hocket/task.h>
#include <hocket/thread_pool.h>
#include <hocket/time.h>
#include <hocket/version.h>
#include <hocket/wait.h>
#include <hocket/waits.h>
#include <hocket/within.h>

#endif
