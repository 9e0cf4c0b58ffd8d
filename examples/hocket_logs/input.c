/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool input_open(struct input *input, const char *path, struct input_watch watch)
{
    struct stat about;

    *input = (struct input){.watch = watch};
    input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (input->fd < 0) {
        input_complain(input, "cannot open: %s", strerror(errno));
        return false;
    }
    /* It was a file when the path was found. But /dev/stdin is another one in each process. */
    if (fstat(input->fd, &about) == 0 && !S_ISREG(about.st_mode)) {
        input_complain(input, "no file in the process that is to read it");
        input_close(input);
        return false;
    }
    return true;
}

void input_close(struct input *input)
{
    if (input->fd >= 0) {
        close(input->fd);
        input->fd = -1;
    }
}

size_t input_read(struct input *input, void *bytes, size_t size)
{
    ssize_t got;

    if (input->is_stopped || input->error[0] != '\0') {
        return 0;
    }
    do {
        got = pread(input->fd, bytes, size, (off_t)input->offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        input_complain(input, "cannot read at byte %llu: %s", (unsigned long long)input->offset,
                       strerror(errno));
        return 0;
    }
    input->offset += (uint64_t)got;
    input->read_bytes += (uint64_t)got;
    /* Checked once a piece, so a stop is noticed within well under a millisecond. */
    if (input->watch.should_stop(input->watch.arg, (size_t)got)) {
        input->is_stopped = true;
    }
    return (size_t)got;
}

void input_complain(struct input *input, const char *format, ...)
{
    va_list arguments;

    if (input->error[0] != '\0') {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(input->error, sizeof(input->error), format, arguments);
    va_end(arguments);
}
