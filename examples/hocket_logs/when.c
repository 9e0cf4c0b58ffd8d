/* SPDX-License-Identifier: MIT */
#include "when.h"

#include "line.h"

/* Days from 1 January 1970 to a day of the Gregorian calendar. The year is made to
 * begin in March, so that the leap day is its last one. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static int64_t two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

int64_t when_of_line(const char *time)
{
    int64_t year = two_digits(time + 7) * 100 + two_digits(time + 9);
    int64_t days = days_of(year, line_month(time + 3), (unsigned)two_digits(time));

    return ((days * 24 + two_digits(time + 12)) * 60 + two_digits(time + 15)) * 60 +
           two_digits(time + 18);
}

int64_t when_zone_of_line(const char *time)
{
    int64_t seconds = (two_digits(time + 22) * 60 + two_digits(time + 24)) * 60;

    return time[21] == '-' ? -seconds : seconds;
}

void when_hour_of_line(const char *time, char *hour)
{
    unsigned month = line_month(time + 3);

    memcpy(hour, time + 7, 4);
    hour[4] = '-';
    hour[5] = (char)('0' + month / 10);
    hour[6] = (char)('0' + month % 10);
    hour[7] = '-';
    memcpy(hour + 8, time, 2);
    hour[10] = 'T';
    memcpy(hour + 11, time + 12, 2);
}

/* Reads count digits whose value is from least to most and moves behind them. */
static bool take_digits(struct span *text, size_t count, int64_t least, int64_t most,
                        int64_t *value)
{
    if (text->size < count) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text->data[i] < '0' || text->data[i] > '9') {
            return false;
        }
        *value = *value * 10 + (text->data[i] - '0');
    }
    text->data += count;
    text->size -= count;
    return *value >= least && *value <= most;
}

static bool take_char(struct span *text, char c)
{
    if (text->size == 0 || text->data[0] != c) {
        return false;
    }
    text->data++;
    text->size--;
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    int64_t next_year = month == 12 ? year + 1 : year;
    unsigned next_month = month == 12 ? 1 : (unsigned)month + 1;

    return days_of(next_year, next_month, 1) - days_of(year, (unsigned)month, 1);
}

/* What is left of a moment after its date and time: nothing, or a zone. */
static bool take_zone(struct span *text, struct moment *moment)
{
    int64_t hours, minutes, sign;

    if (text->size == 0) {
        return true;
    }
    moment->in_utc = true;
    if (take_char(text, 'Z')) {
        return text->size == 0;
    }
    sign = text->data[0] == '-' ? -1 : 1;
    if ((!take_char(text, '+') && !take_char(text, '-')) || !take_digits(text, 2, 0, 23, &hours)) {
        return false;
    }
    (void)take_char(text, ':');
    if (!take_digits(text, 2, 0, 59, &minutes)) {
        return false;
    }
    moment->seconds -= sign * (hours * 60 + minutes) * 60;
    return text->size == 0;
}

bool when_parse(struct span text, struct moment *moment)
{
    static const struct {
        char before;
        int64_t most;
        int64_t width;
    } parts[3] = {{'T', 23, 3600}, {':', 59, 60}, {':', 60, 1}};
    int64_t year, month, day, value;

    *moment = (struct moment){.width = 86400};
    if (!take_digits(&text, 4, 0, 9999, &year) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, 12, &month) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, 31, &day) || day > days_in_month(year, month)) {
        return false;
    }
    moment->seconds = days_of(year, (unsigned)month, (unsigned)day) * 86400;
    for (size_t i = 0; i < 3 && take_char(&text, parts[i].before); i++) {
        if (!take_digits(&text, 2, 0, parts[i].most, &value)) {
            return false;
        }
        moment->seconds += value * parts[i].width;
        moment->width = parts[i].width;
    }
    return take_zone(&text, moment);
}
