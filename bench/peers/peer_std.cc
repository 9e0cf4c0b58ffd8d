/* SPDX-License-Identifier: MIT */
/*
 * The standard library of C++: std::async, which makes a thread for each task, and the
 * pool of std::packaged_task that one writes by hand.
 */
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/hocket_bench/peer.h"
#include "bench/peers/std_future.h"

namespace
{

/* --- std::async --------------------------------------------------------------------- */

void *start_async(unsigned workers)
{
    static unsigned wanted;

    wanted = workers;
    return &wanted;
}

void stop_async(void *pool)
{
    (void)pool;
}

void submit_async(void *pool, enum work_kind kind, uint64_t number, void *future)
{
    (void)pool;
    std_future_keep(future, std::async(std::launch::async, work_bodies[kind], number));
}

const struct peer std_async = {
    .name = "std-async",
    .future_size = sizeof(std_future),
    .tasks_max = 20000,
    .start = start_async,
    .stop = stop_async,
    .submit = submit_async,
    .result = std_future_result,
};

/* --- std::packaged_task ------------------------------------------------------------- */

class task_pool
{
  public:
    explicit task_pool(unsigned workers)
    {
        for (unsigned i = 0; i < workers; i++) {
            threads.emplace_back([this] { work(); });
        }
    }

    ~task_pool()
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            is_closed = true;
        }
        wake.notify_all();
        for (std::thread &thread : threads) {
            thread.join();
        }
    }

    std_future submit(work_body *body, uint64_t number)
    {
        std::packaged_task<uint64_t()> task([body, number] { return body(number); });
        std_future future = task.get_future();

        {
            std::lock_guard<std::mutex> guard(lock);
            tasks.push_back(std::move(task));
        }
        wake.notify_one();
        return future;
    }

  private:
    void work()
    {
        std::unique_lock<std::mutex> guard(lock);

        for (;;) {
            wake.wait(guard, [this] { return is_closed || !tasks.empty(); });
            if (tasks.empty()) {
                return;
            }
            std::packaged_task<uint64_t()> task = std::move(tasks.front());
            tasks.pop_front();
            guard.unlock();
            task();
            guard.lock();
        }
    }

    std::mutex lock;
    std::condition_variable wake;
    std::deque<std::packaged_task<uint64_t()>> tasks;
    bool is_closed = false;
    std::vector<std::thread> threads;
};

void *start_pool(unsigned workers)
{
    return new task_pool(workers);
}

void stop_pool(void *pool)
{
    delete static_cast<task_pool *>(pool);
}

void submit_pool(void *pool, enum work_kind kind, uint64_t number, void *future)
{
    std_future_keep(future, static_cast<task_pool *>(pool)->submit(work_bodies[kind], number));
}

const struct peer std_packaged_task = {
    .name = "std-packaged_task",
    .future_size = sizeof(std_future),
    .start = start_pool,
    .stop = stop_pool,
    .submit = submit_pool,
    .result = std_future_result,
};

} // namespace

const char *const peer_program_name = "peer-std";
const struct peer *const peers[] = {&std_packaged_task, &std_async, nullptr};
