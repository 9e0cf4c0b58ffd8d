/* SPDX-License-Identifier: MIT */
/*
 * Taking a line apart.
 *
 * This runs once for every line of the input, so the usual line takes a straight
 * way: " - - [" behind the host, one quote behind the request. Everything else
 * falls back to a slower search that gives the same answers.
 */
#include "line.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) {
        p++;
    }
    return p;
}

static const char *skip_field(const char *p, const char *end)
{
    while (p < end && !is_blank(*p)) {
        p++;
    }
    return p;
}

/* As skip_field(), eight bytes at a time: the host ends somewhere else in every
 * line, and a loop over bytes would mispredict its end each time. */
static const char *skip_host(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101U, highs = 0x8080808080808080U;

    while (end - p >= 8) {
        uint64_t word, spaces, tabs, found;

        memcpy(&word, p, 8);
        spaces = word ^ (ones * ' ');
        tabs = word ^ (ones * '\t');
        /* The lowest marked byte is one that became zero; higher marks may be wrong,
         * and on a machine of the other byte order the loop below finds it. */
        found = (((spaces - ones) & ~spaces) | ((tabs - ones) & ~tabs)) & highs;
        if (found != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return p + __builtin_ctzll(found) / 8;
#else
            break;
#endif
        }
        p += 8;
    }
    return skip_field(p, end);
}

unsigned line_month(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (unsigned i = 0; i < 12; i++) {
        const char *month = &names[(size_t)i * 3];

        if (month[0] == name[0] && month[1] == name[1] && month[2] == name[2]) {
            return i + 1;
        }
    }
    return 0;
}

typedef unsigned char byte_vector __attribute__((vector_size(16)));

/* Whether each of 16 bytes is between its least and its greatest value. */
static bool all_between(const char *bytes, const unsigned char *least, const unsigned char *most)
{
    byte_vector b, low, high, wrong;
    uint64_t halves[2];

    memcpy(&b, bytes, sizeof(b));
    memcpy(&low, least, sizeof(low));
    memcpy(&high, most, sizeof(high));
    wrong = (byte_vector)((b < low) | (b > high));
    memcpy(halves, &wrong, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

/* Whether p, at a '[', begins a time stamp with its bracket closed. Seconds reach
 * 60 because a leap second is a time like any other. */
static bool is_time(const char *p, const char *end)
{
    /* For each byte behind the bracket the least and the greatest value: all are
     * looked at in two goes that overlap, and what that leaves open is checked after. */
    static const unsigned char least[] = "00/Aaa/0000:00:00:00\t+0000]";
    static const unsigned char most[] = "39/Suy/9999:29:59:69 -9999]";
    enum { SECOND = LINE_TIME_SIZE + 1 - sizeof(byte_vector) };

    if (end - p < LINE_TIME_SIZE + 2) {
        return false;
    }
    p++;
    return all_between(p, least, most) && all_between(p + SECOND, least + SECOND, most + SECOND) &&
           (p[0] < '3' || p[1] < '2') && (p[12] < '2' || p[13] < '4') &&
           (p[18] < '6' || p[19] == '0') && is_blank(p[20]) && p[21] != ',' &&
           line_month(p + 3) != 0;
}

/* Finds the host and the time by counting the fields before the time. On LINE_GOOD
 * *time is at the opening bracket. */
static enum line_fault find_time(const char *p, const char *end, struct log_line *line,
                                 const char **time)
{
    struct span fields[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t count = 0;
    bool has_bracket = false;

    while (p < end) {
        const char *begin = p;

        if (*p == '[' && count > 0) {
            has_bracket = true;
            if (is_time(p, end)) {
                break;
            }
        }
        p = skip_field(p, end);
        /* The request has begun, so the time is missing or broken. Apache logs an
         * empty user name as two quotes. */
        if (*begin == '"' && !span_equal((struct span){begin, (size_t)(p - begin)}, SPAN("\"\""))) {
            p = end;
            break;
        }
        if (count < 3) {
            fields[count] = (struct span){begin, (size_t)(p - begin)};
        }
        count++;
        p = skip_blanks(p, end);
    }
    if (p == end) {
        return has_bracket || count == 0 || fields[0].data[0] == '[' ? LINE_BAD_TIME
                                                                     : LINE_FIELDS_MISSING;
    }
    if (count < 3) {
        return LINE_FIELDS_MISSING;
    }
    /* The ident is "-" in practice. Four fields of which the third is "-" and the
     * second is not are therefore led by a virtual host, while "host - john doe"
     * has a user name with a blank. */
    line->host = fields[0];
    if (count > 3 && span_equal(fields[2], SPAN("-")) && !span_equal(fields[1], SPAN("-"))) {
        line->host = fields[1];
    }
    *time = p;
    return LINE_GOOD;
}

static bool is_escaped(const char *quote, const char *begin)
{
    size_t backslashes = 0;

    while (quote - backslashes > begin && quote[-1 - (ptrdiff_t)backslashes] == '\\') {
        backslashes++;
    }
    return backslashes % 2 != 0;
}

static bool is_status(const char *p, const char *end)
{
    return end - p >= 3 && is_digit(p[0]) && is_digit(p[1]) && is_digit(p[2]) &&
           (end - p == 3 || is_blank(p[3]));
}

/* Whether a request ends in "HTTP/1.1" or the like. */
static bool ends_in_version(struct span request)
{
    size_t from = request.size < 9 ? 0 : request.size - 9;

    for (size_t i = from; i + 5 <= request.size; i++) {
        if (memcmp(request.data + i, "HTTP/", 5) == 0) {
            return true;
        }
    }
    return false;
}

/* The quote that closes the request which begins at begin; NULL if there is none.
 *
 * Some servers do not escape quotes inside a request, so the first one is the end
 * only if a status or nothing else can follow it: otherwise a later quote that a
 * status follows is the better end, if there is one. */
static const char *find_closing_quote(const char *begin, const char *end)
{
    const char *first = NULL;
    const char *p = begin;

    while (p < end && (p = memchr(p, '"', (size_t)(end - p))) != NULL) {
        if (!is_escaped(p, begin)) {
            if (p + 1 < end && is_blank(p[1]) && is_status(skip_blanks(p + 1, end), end)) {
                return p;
            }
            if (first == NULL) {
                first = p;
                if (ends_in_version((struct span){begin, (size_t)(p - begin)})) {
                    return first;
                }
            }
        }
        p++;
    }
    return first;
}

static enum line_fault parse_numbers(const char *p, const char *end, struct log_line *line)
{
    p = skip_blanks(p, end);
    if (!is_status(p, end)) {
        return LINE_BAD_STATUS;
    }
    line->status =
        (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
    p = skip_blanks(p + 3, end);
    line->size_bytes = 0;
    line->has_size = false;
    if (p < end && *p == '-') {
        p++;
    } else {
        const char *begin = p;
        uint64_t size = 0;

        while (p < end && is_digit(*p)) {
            size = size * 10 + (uint64_t)(*p - '0');
            p++;
        }
        /* 19 digits fit whatever they are. */
        if (p == begin || p - begin > 19) {
            return LINE_BAD_SIZE;
        }
        line->size_bytes = size;
        line->has_size = true;
    }
    if (p < end && !is_blank(*p)) {
        return LINE_BAD_SIZE;
    }
    line->tail = (struct span){p, (size_t)(end - p)};
    return LINE_GOOD;
}

enum line_fault line_parse(const char *data, size_t size, struct log_line *line)
{
    const char *p = data;
    const char *end = data + size;
    const char *time, *quote;

    if (size > LINE_SIZE_MAX) {
        return LINE_TOO_LONG;
    }
    if (p < end && end[-1] == '\r') {
        end--;
    }
    p = skip_blanks(p, end);
    if (p == end) {
        return LINE_EMPTY;
    }
    const char *host_end = skip_host(p, end);
    if (end - host_end > 6 && memcmp(host_end, " - - [", 6) == 0 && is_time(host_end + 5, end)) {
        line->host = (struct span){p, (size_t)(host_end - p)};
        time = host_end + 5;
    } else {
        enum line_fault fault = find_time(p, end, line, &time);

        if (fault != LINE_GOOD) {
            return fault;
        }
    }
    line->time = time + 1;
    p = skip_blanks(time + LINE_TIME_SIZE + 2, end);
    if (p == end || *p != '"') {
        return LINE_NO_REQUEST;
    }
    p++;
    quote = find_closing_quote(p, end);
    if (quote == NULL) {
        return LINE_OPEN_REQUEST;
    }
    line->request = (struct span){p, (size_t)(quote - p)};
    return parse_numbers(quote + 1, end, line);
}

const char *line_fault_name(enum line_fault fault)
{
    static const char *const names[LINE_FAULT_COUNT] = {
        [LINE_GOOD] = "well formed",
        [LINE_EMPTY] = "empty line",
        [LINE_FIELDS_MISSING] = "fields missing before the time",
        [LINE_BAD_TIME] = "no time stamp like [17/May/2015:10:05:03 +0000]",
        [LINE_NO_REQUEST] = "no quoted request after the time",
        [LINE_OPEN_REQUEST] = "quote of the request never closed",
        [LINE_BAD_STATUS] = "no status of three digits after the request",
        [LINE_BAD_SIZE] = "no size in bytes after the status",
        [LINE_TOO_LONG] = "line longer than 1 MiB",
    };

    return fault < LINE_FAULT_COUNT ? names[fault] : "unknown fault";
}

static bool is_method_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

struct span line_path(const struct log_line *line)
{
    static const struct span none = {NULL, 0};
    const char *p = line->request.data;
    const char *end = p + line->request.size;
    const char *begin, *last;

    while (p < end && is_method_byte(*p)) {
        p++;
    }
    if (p == line->request.data || p == end || !is_blank(*p)) {
        return none;
    }
    begin = skip_blanks(p, end);
    while (end > begin && is_blank(end[-1])) {
        end--;
    }
    if (begin == end) {
        return none;
    }
    /* The version is the last field, so a path may have blanks. Most are 8 bytes. */
    last = end - begin > 9 && end[-9] == ' ' ? end - 8 : end;
    while (last > begin && !is_blank(last[-1])) {
        last--;
    }
    if (last > begin && end - last >= 5 && memcmp(last, "HTTP/", 5) == 0) {
        while (is_blank(last[-1])) {
            last--;
        }
        return (struct span){begin, (size_t)(last - begin)};
    }
    /* HTTP/0.9 has no version; without one, only a real path tells a request from
     * rubbish of two words. */
    return *begin == '/' ? (struct span){begin, (size_t)(end - begin)} : none;
}

bool line_asks_for(const struct log_line *line, struct span path)
{
    const char *p = line->request.data;
    const char *end = p + line->request.size;

    /* Nearly every line asks for something else: find that out before the path's
     * end is looked for. */
    p = skip_blanks(skip_field(p, end), end);
    return (size_t)(end - p) >= path.size && memcmp(p, path.data, path.size) == 0 &&
           span_equal(line_path(line), path);
}

/* Takes the quoted field at *p and moves behind it. A field that is never closed
 * reaches to the end: such lines are cut, yet what they have is true. */
static struct span take_quoted(const char **p, const char *end)
{
    const char *begin = skip_blanks(*p, end);
    const char *quote;

    if (begin == end || *begin != '"') {
        *p = end;
        return SPAN("-");
    }
    begin++;
    quote = begin;
    while (quote < end && (quote = memchr(quote, '"', (size_t)(end - quote))) != NULL) {
        if (!is_escaped(quote, begin)) {
            *p = quote + 1;
            return (struct span){begin, (size_t)(quote - begin)};
        }
        quote++;
    }
    *p = end;
    return (struct span){begin, (size_t)(end - begin)};
}

struct span line_referrer(const struct log_line *line)
{
    const char *p = line->tail.data;

    return take_quoted(&p, line->tail.data + line->tail.size);
}

struct span line_agent(const struct log_line *line)
{
    const char *p = line->tail.data;
    const char *end = p + line->tail.size;

    (void)take_quoted(&p, end);
    return take_quoted(&p, end);
}
