/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static bool complain(const char *folder, const char *name, int error)
{
    fprintf(stderr, "hocket-logs-sample: cannot write %s/%s: %s\n", folder, name,
            error != 0 ? strerror(error) : "unknown error");
    return false;
}

bool files_make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "hocket-logs-sample: cannot make the folder %s: %s\n", path,
                strerror(errno));
        return false;
    }
    return true;
}

FILE *files_create(const char *folder, const char *name)
{
    char path[PATH_MAX];
    FILE *file;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path)) {
        (void)complain(folder, name, ENAMETOOLONG);
        return NULL;
    }
    file = fopen(path, "wb");
    if (file == NULL) {
        (void)complain(folder, name, errno);
    }
    return file;
}

bool files_close(FILE *file, const char *folder, const char *name)
{
    bool had_error;

    if (file == NULL) {
        return false;
    }
    had_error = ferror(file) != 0;
    errno = 0;
    return (fclose(file) == 0 && !had_error) || complain(folder, name, errno);
}

/* Hands what is to be compressed, or nothing, to deflate and writes what comes. */
static void deflate_some(struct log_file *log, const void *text, size_t size, int flush)
{
    static unsigned char out[64 << 10];
    int result;

    log->deflate.next_in = text;
    log->deflate.avail_in = (uInt)size;
    do {
        log->deflate.next_out = out;
        log->deflate.avail_out = sizeof(out);
        result = deflate(&log->deflate, flush);
        fwrite(out, 1, sizeof(out) - log->deflate.avail_out, log->file);
    } while (log->deflate.avail_out == 0 && result == Z_OK);
}

bool log_file_begin(struct log_file *log, const char *folder, const char *name, bool is_gzip)
{
    /* No time, no name, unknown system: the same bytes on every day. */
    static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};

    *log = (struct log_file){.folder = folder, .is_gzip = is_gzip};
    (void)snprintf(log->name, sizeof(log->name), "%s%s", name, is_gzip ? ".gz" : "");
    if (is_gzip &&
        deflateInit2(&log->deflate, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return complain(folder, log->name, ENOMEM);
    }
    log->file = files_create(folder, log->name);
    if (log->file == NULL) {
        if (is_gzip) {
            deflateEnd(&log->deflate);
        }
        return false;
    }
    if (is_gzip) {
        fwrite(header, 1, sizeof(header), log->file);
    }
    return true;
}

void log_file_write(struct log_file *log, const void *text, size_t size)
{
    if (!log->is_gzip) {
        fwrite(text, 1, size, log->file);
        return;
    }
    log->crc = (uint32_t)crc32_z(log->crc, text, size);
    log->text_size += size;
    deflate_some(log, text, size, Z_NO_FLUSH);
}

bool log_file_end(struct log_file *log)
{
    if (log->is_gzip) {
        unsigned char trailer[8];

        deflate_some(log, NULL, 0, Z_FINISH);
        deflateEnd(&log->deflate);
        for (unsigned i = 0; i < 4; i++) {
            trailer[i] = (unsigned char)(log->crc >> (8 * i));
            trailer[i + 4] = (unsigned char)(log->text_size >> (8 * i));
        }
        fwrite(trailer, 1, sizeof(trailer), log->file);
    }
    return files_close(log->file, log->folder, log->name);
}
