/* SPDX-License-Identifier: MIT */
/*
 * The peers of Java: java SyncPeers ReentrantLock | ArrayBlockingQueue |
 * LinkedBlockingQueue. harness_process.c says what it is asked and answers.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.locks.ReentrantLock;

public final class SyncPeers {
    private static final int CAPACITY = 1024;

    private record Request(String family, int threads, int parameter, long n, long durationNs) {
    }

    /** What one of several threads does. */
    private interface Work {
        void run(int index) throws Exception;
    }

    public static void main(String[] words) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        String line;

        while ((line = requests.readLine()) != null) {
            String[] fields = line.trim().split(" ");
            Request request =
                    new Request(fields[0], Integer.parseInt(fields[1]), Integer.parseInt(fields[2]),
                            Long.parseLong(fields[3]), Long.parseLong(fields[4]));

            System.out.println(answer(words[0], request));
            System.out.flush();
        }
    }

    private static String answer(String peer, Request request) throws Exception {
        if (peer.equals("ReentrantLock")) {
            return switch (request.family) {
                case "nested" -> nested(request);
                case "child" -> child(request);
                case "contended" -> contended(request);
                default -> "cannot";
            };
        }
        return request.family.equals("stream") ? stream(peer, request) : "cannot";
    }

    /** Runs it in new threads that start together; gives nanoseconds. */
    private static long crew(int count, Work work) throws Exception {
        CyclicBarrier start = new CyclicBarrier(count + 1);
        CountDownLatch end = new CountDownLatch(count);
        long[] began = new long[count], ended = new long[count];

        for (int i = 0; i < count; i++) {
            int index = i;
            new Thread(() -> {
                try {
                    start.await();
                    began[index] = System.nanoTime();
                    work.run(index);
                } catch (Exception e) {
                    System.err.println(e);
                    System.exit(1);
                }
                ended[index] = System.nanoTime();
                end.countDown();
            }).start();
        }
        start.await();
        end.await();
        long first = began[0], last = ended[0];
        for (int i = 1; i < count; i++) {
            first = Math.min(first, began[i]);
            last = Math.max(last, ended[i]);
        }
        return last - first;
    }

    private static ReentrantLock[] locks(int count) {
        ReentrantLock[] locks = new ReentrantLock[count];

        for (int i = 0; i < count; i++) {
            locks[i] = new ReentrantLock();
        }
        return locks;
    }

    private static String nested(Request request) {
        ReentrantLock[] locks = locks(request.parameter);
        long turns = request.n / locks.length + 1;
        long began = System.nanoTime();

        for (long turn = 0; turn < turns; turn++) {
            for (int i = 0; i < locks.length; i++) {
                locks[i].lock();
            }
            for (int i = locks.length; i > 0; i--) {
                locks[i - 1].unlock();
            }
        }
        return "ok " + (System.nanoTime() - began) + " " + turns * locks.length;
    }

    private static String child(Request request) {
        ReentrantLock[] locks = locks(request.parameter + 1);
        long turns = request.n / 2 + 1;
        int random = (int) 2463534242L;
        long began = System.nanoTime();

        for (long turn = 0; turn < turns; turn++) {
            random ^= random << 13;
            random ^= random >>> 17;
            random ^= random << 5;
            int child = 1 + (int) ((random & 0xffffffffL) * request.parameter >>> 32);

            locks[0].lock();
            locks[child].lock();
            locks[child].unlock();
            locks[0].unlock();
        }
        return "ok " + (System.nanoTime() - began) + " " + turns * 2;
    }

    private static volatile boolean stop;
    private static long counter;

    private static String contended(Request request) throws Exception {
        ReentrantLock lock = new ReentrantLock();
        long[] turns = new long[request.threads];
        Thread clock = new Thread(() -> {
            try {
                Thread.sleep(4 * request.durationNs / 1000000 + 1);
            } catch (InterruptedException e) {
                System.err.println(e);
            }
            stop = true;
        });

        stop = false;
        counter = 0;
        clock.start();
        long elapsed = crew(request.threads, index -> {
            long mine = 0;

            do {
                lock.lock();
                counter++;
                lock.unlock();
                mine++;
            } while (!stop);
            turns[index] = mine;
        });
        clock.join();
        long sum = 0, least = Long.MAX_VALUE;
        for (long mine : turns) {
            sum += mine;
            least = Math.min(least, mine);
        }
        if (sum != counter) {
            return "wrong count";
        }
        return "ok " + elapsed + " " + sum + " " + (double) least * request.threads / sum;
    }

    private static String stream(String peer, Request request) throws Exception {
        BlockingQueue<Long> queue = peer.equals("ArrayBlockingQueue")
                ? new ArrayBlockingQueue<>(CAPACITY)
                : new LinkedBlockingQueue<>(CAPACITY);
        int pairs = request.threads / 2;
        long share = request.n / pairs + 1;
        long n = share * pairs;
        long[] sums = new long[request.threads];
        long elapsed = crew(request.threads, index -> {
            if (index % 2 == 0) {
                long first = 1 + index / 2 * share;

                for (long i = 0; i < share; i++) {
                    queue.put(first + i);
                }
            } else {
                long sum = 0;

                for (long i = 0; i < share; i++) {
                    sum += queue.take();
                }
                sums[index] = sum;
            }
        });
        long sum = 0;
        for (long mine : sums) {
            sum += mine;
        }
        return sum == n * (n + 1) / 2 ? "ok " + elapsed + " " + n : "wrong sum";
    }
}
