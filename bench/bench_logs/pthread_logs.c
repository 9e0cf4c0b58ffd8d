/* SPDX-License-Identifier: MIT */
/*
 * pthread_logs THREADS FILE...: the hosts that fetched /robots.txt, written by hand
 * with threads and nothing else.
 *
 * The yardstick for hocket-logs: the same inflate library, the same question, and
 * no more machinery than a file counter that the threads share. It knows gzip files
 * without faults only, and checks of a line no more than it needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HOCKET_LOGS_ISAL
#include <isa-l.h>
#else
#include <zlib.h>
#endif

enum { IN_SIZE = 64 << 10, PIECE_SIZE = 128 << 10, OUT_SIZE = 4 * PIECE_SIZE, THREADS_MAX = 64 };

/* Sorted, without repeats: there are few such hosts. */
struct hosts {
    char **names;
    size_t count, capacity;
};

struct worker {
    pthread_t thread;
    struct hosts hosts;
    unsigned char in[IN_SIZE];
    char out[OUT_SIZE];
};

static char **files;
static size_t file_count;
static atomic_size_t next_file;

__attribute__((noreturn)) static void fail(const char *what, const char *path)
{
    fprintf(stderr, "pthread_logs: %s: %s\n", path, what);
    exit(1);
}

static void add_host(struct hosts *hosts, const char *name, size_t size)
{
    size_t low = 0, high = hosts->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(hosts->names[middle], name, size);

        order = order == 0 && hosts->names[middle][size] != '\0' ? 1 : order;
        if (order == 0) {
            return;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (hosts->count == hosts->capacity) {
        hosts->capacity = hosts->capacity == 0 ? 64 : hosts->capacity * 2;
        hosts->names = realloc(hosts->names, hosts->capacity * sizeof(char *));
        if (hosts->names == NULL) {
            fail("no memory", "hosts");
        }
    }
    memmove(hosts->names + low + 1, hosts->names + low, (hosts->count - low) * sizeof(char *));
    hosts->names[low] = strndup(name, size);
    hosts->count++;
}

/* The host is the first field; the path is the second word of the first quoted one. */
static void parse_line(struct hosts *hosts, const char *line, const char *end)
{
    static const char path[] = "/robots.txt";
    const size_t path_size = sizeof(path) - 1;
    const char *host_end = memchr(line, ' ', (size_t)(end - line));
    const char *quote = memchr(line, '"', (size_t)(end - line));
    const char *word = quote == NULL ? NULL : memchr(quote, ' ', (size_t)(end - quote));

    if (host_end == NULL || word == NULL || (size_t)(end - word) < path_size + 2) {
        return;
    }
    word++;
    if (memcmp(word, path, path_size) == 0 && (word[path_size] == ' ' || word[path_size] == '"')) {
        add_host(hosts, line, (size_t)(host_end - line));
    }
}

/* Parses the whole lines of size bytes; gives how many bytes they are. */
static size_t parse_lines(struct hosts *hosts, const char *text, size_t size)
{
    const char *line = text, *end = text + size, *newline;

    while (line < end && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        parse_line(hosts, line, newline);
        line = newline + 1;
    }
    return (size_t)(line - text);
}

/* --- The two libraries -------------------------------------------------------- */

#ifdef HOCKET_LOGS_ISAL
typedef struct inflate_state stream_type;

static void stream_begin(stream_type *stream)
{
    isal_inflate_init(stream);
    stream->crc_flag = ISAL_GZIP;
}

/* 1: the member has ended; 0: go on; -1: damaged. */
static int stream_run(stream_type *stream)
{
    if (isal_inflate(stream) != ISAL_DECOMP_OK) {
        return -1;
    }
    return stream->block_state == ISAL_BLOCK_FINISH;
}

static void stream_next(stream_type *stream)
{
    isal_inflate_reset(stream);
    stream->crc_flag = ISAL_GZIP;
}

static void stream_end(stream_type *stream)
{
    (void)stream;
}
#else
typedef z_stream stream_type;

static void stream_begin(stream_type *stream)
{
    memset(stream, 0, sizeof(*stream));
    if (inflateInit2(stream, MAX_WBITS + 16) != Z_OK) {
        fail("no memory", "zlib");
    }
}

static int stream_run(stream_type *stream)
{
    int result = inflate(stream, Z_NO_FLUSH);

    return result == Z_STREAM_END ? 1 : result == Z_OK || result == Z_BUF_ERROR ? 0 : -1;
}

static void stream_next(stream_type *stream)
{
    inflateReset(stream);
}

static void stream_end(stream_type *stream)
{
    inflateEnd(stream);
}
#endif

/* ------------------------------------------------------------------------------ */

static void count_file(struct worker *worker, const char *path)
{
    stream_type *stream = malloc(sizeof(*stream));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t kept = 0;
    bool is_open = true;

    if (fd < 0 || stream == NULL) {
        fail(strerror(errno), path);
    }
    stream_begin(stream);
    stream->avail_in = 0;
    while (is_open) {
        int result;

        if (stream->avail_in == 0) {
            ssize_t got = read(fd, worker->in, IN_SIZE);

            if (got <= 0) {
                break;
            }
            stream->next_in = worker->in;
            stream->avail_in = (unsigned)got;
        }
        if (OUT_SIZE - kept < PIECE_SIZE) {
            fail("a line is too long", path);
        }
        stream->next_out = (unsigned char *)worker->out + kept;
        stream->avail_out = PIECE_SIZE;
        result = stream_run(stream);
        if (result < 0) {
            fail("damaged gzip data", path);
        }
        kept += PIECE_SIZE - stream->avail_out;
        size_t used = parse_lines(&worker->hosts, worker->out, kept);
        kept -= used;
        memmove(worker->out, worker->out + used, kept);
        if (result == 1) {
            stream_next(stream);
        }
    }
    parse_line(&worker->hosts, worker->out, worker->out + kept);
    stream_end(stream);
    free(stream);
    close(fd);
}

static void *work(void *arg)
{
    for (;;) {
        size_t i = atomic_fetch_add(&next_file, 1);

        if (i >= file_count) {
            return NULL;
        }
        count_file(arg, files[i]);
    }
}

int main(int argc, char **argv)
{
    static struct worker *workers[THREADS_MAX];
    static struct hosts all;
    int threads = argc > 2 ? atoi(argv[1]) : 0;

    if (threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: pthread_logs THREADS FILE...\n");
        return 2;
    }
    files = argv + 2;
    file_count = (size_t)argc - 2;
    for (int i = 0; i < threads; i++) {
        workers[i] = calloc(1, sizeof(*workers[i]));
        if (workers[i] == NULL ||
            pthread_create(&workers[i]->thread, NULL, work, workers[i]) != 0) {
            fail("cannot start a thread", "pthread_logs");
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i]->thread, NULL);
        for (size_t k = 0; k < workers[i]->hosts.count; k++) {
            add_host(&all, workers[i]->hosts.names[k], strlen(workers[i]->hosts.names[k]));
        }
    }
    for (size_t k = 0; k < all.count; k++) {
        puts(all.names[k]);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
