// SPDX-License-Identifier: MIT
//
// Java's pools: java PoolPeers [--peer NAME] [--threads N] [--n N] [--rounds N] WORKLOAD.
//
// Each round runs the workload twice and tells the second pass, which the compiler has
// seen before.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Future;
import java.util.concurrent.RecursiveTask;
import java.util.concurrent.locks.LockSupport;

public final class PoolPeers {
    private static final int CHUNK = 10000;
    private static final int CHUNK_FINE = 256;
    private static final int RECYCLED = 5;
    private static final long IDLE_NANOSECONDS = 100_000;
    private static final int PRODUCERS = 4;
    private static final int EXIT_WRONG = 1;
    private static final int EXIT_USAGE = 2;
    private static final Map<String, Integer> WORKLOADS = Map.ofEntries(
            Map.entry("burst", 1000000), Map.entry("burst_recycled", 1000000),
            Map.entry("producers", 1000000), Map.entry("roundtrip", 100000),
            Map.entry("roundtrip_pinned", 100000), Map.entry("roundtrip_idle", 10000),
            Map.entry("map", 10000000), Map.entry("map_fine", 10000000),
            Map.entry("skew", 20000), Map.entry("forkjoin", 30), Map.entry("forkjoin1", 30),
            Map.entry("forkscope", 30));

    private final String peer;
    private final String workload;
    private final int threads;
    private final int n;
    private final ExecutorService pool;
    private final StringBuilder told = new StringBuilder();

    private PoolPeers(String peer, String workload, int threads, int n) {
        this.peer = peer;
        this.workload = workload;
        this.threads = threads;
        this.n = n;
        this.pool = peer.equals("java-fjp") ? new ForkJoinPool(threads)
                                            : Executors.newFixedThreadPool(threads);
    }

    // --- Tasks --------------------------------------------------------------------------

    private static long trivial(long number) {
        return 2 * number + 1;
    }

    private static long mix(long number) {
        number += 0x9e3779b97f4a7c15L;
        number = (number ^ (number >>> 30)) * 0xbf58476d1ce4e5b9L;
        number = (number ^ (number >>> 27)) * 0x94d049bb133111ebL;
        return number ^ (number >>> 31);
    }

    private static long skewed(long number) {
        double uniform = (double) (mix(number) >>> 11) / 9007199254740992.0;
        long x = number;

        for (long steps = (long) (700 / (1 - uniform * 0.999)); steps > 0; steps--) {
            x = x * 6364136223846793005L + 1442695040888963407L;
        }
        return x;
    }

    private static double mapChunk(double[] in, double[] out, int first, int size) {
        int end = Math.min(in.length, first + size);
        double sum = 0;

        for (int i = first; i < end; i++) {
            double x = in[i];

            for (int step = 0; step < 13; step++) {
                x = Math.sqrt(x * 1.5 + 1.0);
            }
            out[i] = x;
            sum += x;
        }
        return sum;
    }

    private static final class Fibonacci extends RecursiveTask<Long> {
        private static final long serialVersionUID = 1;
        private final int n;
        private final boolean forksBoth;

        Fibonacci(int n, boolean forksBoth) {
            this.n = n;
            this.forksBoth = forksBoth;
        }

        @Override
        protected Long compute() {
            if (n < 2) {
                return (long) n;
            }
            Fibonacci one = new Fibonacci(n - 1, forksBoth);
            Fibonacci other = new Fibonacci(n - 2, forksBoth);
            one.fork();
            if (!forksBoth) {
                return other.compute() + one.join();
            }
            other.fork();
            return other.join() + one.join();
        }
    }

    private static long fibonacci(int n) {
        long value = 0;
        long next = 1;

        for (int i = 0; i < n; i++) {
            long sum = value + next;

            value = next;
            next = sum;
        }
        return value;
    }

    // --- Workloads ----------------------------------------------------------------------

    private void tell(String metric, double value, String unit) {
        told.append(String.format("%s,%s,%d,%d,%s,%.6g,%s%n", peer, workload, threads, n, metric,
                                  value, unit));
    }

    private void check(boolean isRight) {
        if (!isRight) {
            System.err.println(workload + ", " + peer + ": WRONG RESULT");
            System.exit(EXIT_WRONG);
        }
    }

    /** Submits so many and waits for all; gives when the last was submitted. */
    private long runBatch(int count) throws Exception {
        List<Future<Long>> futures = new ArrayList<>(count);

        for (int i = 0; i < count; i++) {
            long number = i;

            futures.add(pool.submit(() -> trivial(number)));
        }
        long submitted = System.nanoTime();
        long sum = 0;
        for (Future<Long> future : futures) {
            sum += future.get();
        }
        check(sum == (long) count * count);
        return submitted;
    }

    private void burst() throws Exception {
        long began = System.nanoTime();
        long submitted = runBatch(n);

        tell("time_per_task", (double) (System.nanoTime() - began) / n, "ns");
        tell("submit_per_task", (double) (submitted - began) / n, "ns");
        tell("peak_rss", peakMiB(), "MiB");
    }

    /** The first burst of a machine that has warmed up, and the median of those that follow. */
    private void burstRecycled() throws Exception {
        double[] times = new double[RECYCLED];

        for (int i = -1; i < RECYCLED; i++) {
            long began = System.nanoTime();

            runBatch(n);
            double time = (double) (System.nanoTime() - began) / n;
            if (i < 0) {
                tell("first_per_task", time, "ns");
            } else {
                times[i] = time;
            }
        }
        Arrays.sort(times);
        tell("time_per_task", times[RECYCLED / 2], "ns");
    }

    /** Mostly how the heap is managed. */
    private static double peakMiB() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
            }
        }
        return 0;
    }

    private void producers() throws Exception {
        int share = Math.max(1, n / PRODUCERS);
        Thread[] producers = new Thread[PRODUCERS];
        long began = System.nanoTime();

        for (int i = 0; i < PRODUCERS; i++) {
            producers[i] = new Thread(() -> {
                try {
                    runBatch(share);
                } catch (Exception e) {
                    check(false);
                }
            });
            producers[i].start();
        }
        for (Thread producer : producers) {
            producer.join();
        }
        tell("time_per_task", (double) (System.nanoTime() - began) / (PRODUCERS * share), "ns");
    }

    private void roundtrip(long idle) throws Exception {
        double[] times = new double[n];
        long sum = 0;
        long cpu = cpuNanoseconds();

        for (int i = 0; i < n; i++) {
            long number = i;

            if (idle > 0) {
                LockSupport.parkNanos(idle);
            }
            long began = System.nanoTime();
            sum += pool.submit(() -> trivial(number)).get();
            times[i] = (System.nanoTime() - began) / 1e3;
        }
        check(sum == (long) n * n);
        tell("cpu_per_task", (cpuNanoseconds() - cpu) / 1e3 / n, "us");
        Arrays.sort(times);
        for (double percent : new double[] {50, 99, 1, 10, 25, 75, 90, 99.9}) {
            String name = percent == 99.9 ? "p99.9" : "p" + (int) percent;

            tell(name, times[(int) (percent / 100 * (n - 1))], "us");
        }
    }

    /** Counted in ticks of 10 ms. */
    private static long cpuNanoseconds() {
        return ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO).toNanos();
    }

    private void map(int size) throws Exception {
        double[] in = new double[n];
        double[] out = new double[n];
        int chunks = (n + size - 1) / size;
        double expected = 0;
        double sum = 0;
        List<Future<Double>> futures = new ArrayList<>(chunks);

        for (int i = 0; i < n; i++) {
            in[i] = i % 1000;
            out[i] = -1;
        }
        long began = System.nanoTime();
        for (int i = 0; i < chunks; i++) {
            expected += mapChunk(in, out, i * size, size);
        }
        long serial = System.nanoTime() - began;
        began = System.nanoTime();
        for (int i = 0; i < chunks; i++) {
            int first = i * size;

            futures.add(pool.submit(() -> mapChunk(in, out, first, size)));
        }
        for (Future<Double> future : futures) {
            sum += future.get();
        }
        long parallel = System.nanoTime() - began;
        check(sum == expected);
        tell("speedup", (double) serial / parallel, "x");
        tell("time_per_item", (double) parallel / n, "ns");
        tell("serial_per_item", (double) serial / n, "ns");
    }

    private void skew() throws Exception {
        List<Future<Long>> futures = new ArrayList<>(n);
        long began = System.nanoTime();
        long expected = 0;
        long sum = 0;

        for (int i = 0; i < n; i++) {
            expected += skewed(i);
        }
        long serial = System.nanoTime() - began;
        began = System.nanoTime();
        for (int i = 0; i < n; i++) {
            long number = i;

            futures.add(pool.submit(() -> skewed(number)));
        }
        for (Future<Long> future : futures) {
            sum += future.get();
        }
        long parallel = System.nanoTime() - began;
        check(sum == expected);
        tell("efficiency", serial / ((double) threads * parallel), "ratio");
    }

    private void fork(boolean forksBoth) {
        long tasks = Math.max(1, (forksBoth ? 2 : 1) * (fibonacci(n + 1) - 1));
        long began = System.nanoTime();
        long value = ((ForkJoinPool) pool).invoke(new Fibonacci(n, forksBoth));

        check(value == fibonacci(n));
        tell("time_per_task", (double) (System.nanoTime() - began) / tasks, "ns");
    }

    private void run() throws Exception {
        switch (workload) {
            case "burst" -> burst();
            case "producers" -> producers();
            case "burst_recycled" -> burstRecycled();
            case "roundtrip", "roundtrip_pinned" -> roundtrip(0);
            case "roundtrip_idle" -> roundtrip(IDLE_NANOSECONDS);
            case "map" -> map(CHUNK);
            case "map_fine" -> map(CHUNK_FINE);
            case "skew" -> skew();
            case "forkjoin" -> fork(true);
            default -> fork(false);
        }
    }

    // --- The program --------------------------------------------------------------------

    private static void usage(String complaint) {
        System.err.println("PoolPeers: " + complaint + "; --list tells the workloads");
        System.exit(EXIT_USAGE);
    }

    private static List<String> peersFor(String workload, String wanted) {
        List<String> peers = new ArrayList<>();

        for (String peer : List.of("java-fjp", "java-tpe")) {
            // A fixed pool whose threads all wait for tasks behind them stands still.
            boolean isTree = workload.startsWith("fork");

            if ((wanted == null || wanted.equals(peer)) && (!isTree || peer.equals("java-fjp"))) {
                peers.add(peer);
            }
        }
        return peers;
    }

    public static void main(String[] args) throws Exception {
        String workload = null;
        String wanted = null;
        int threads = Runtime.getRuntime().availableProcessors();
        int n = 0;
        int rounds = 1;

        for (String arg : args) {
            String value = arg.substring(arg.indexOf('=') + 1);

            if (arg.equals("--list")) {
                WORKLOADS.keySet().forEach(System.out::println);
                return;
            } else if (arg.equals("--help")) {
                System.out.println("usage: PoolPeers [--peer=java-fjp|java-tpe] [--threads=N] "
                                   + "[--n=N] [--rounds=N] [--list] WORKLOAD");
                return;
            } else if (arg.startsWith("--peer=")) {
                wanted = value;
            } else if (arg.startsWith("--threads=")) {
                threads = Integer.parseInt(value);
            } else if (arg.startsWith("--n=")) {
                n = Integer.parseInt(value);
            } else if (arg.startsWith("--rounds=")) {
                rounds = Integer.parseInt(value);
            } else if (arg.startsWith("-") || workload != null) {
                usage("not understood: " + arg);
            } else {
                workload = arg;
            }
        }
        if (workload == null || !WORKLOADS.containsKey(workload)
                || peersFor(workload, wanted).isEmpty()) {
            usage("no such workload here: " + workload);
        }
        for (int round = 0; round < rounds; round++) {
            for (String peer : peersFor(workload, wanted)) {
                PoolPeers peers = new PoolPeers(peer, workload, threads,
                                                n != 0 ? n : WORKLOADS.get(workload));

                peers.run();
                peers.told.setLength(0);
                peers.run();
                System.out.print(peers.told);
                peers.pool.shutdown();
            }
        }
    }
}
