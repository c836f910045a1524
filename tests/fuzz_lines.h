/* Changes to texts made of lines of words: lines come, go and move; numbers become other numbers; names become names that stand elsewhere in the text. */
#ifndef TERN_TESTS_FUZZ_LINES_H
#define TERN_TESTS_FUZZ_LINES_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_random.h"

/* What stands between two separators. */
typedef struct fuzz_word {
    size_t at, len;
} fuzz_word;

enum { FUZZ_WORDS = 2048 };

static inline size_t fuzz_words(const char *s, size_t size, const char *between, fuzz_word *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size && n < FUZZ_WORDS;) {
        size_t from = i;
        while (i < size && !strchr(between, s[i]))
            i++;
        if (i > from)
            out[n++] = (fuzz_word){from, i - from};
        i++;
    }
    return n;
}

/* Puts text where a word was; as long as there is room. */
static inline size_t fuzz_splice(char *s, size_t size, size_t max, fuzz_word w, const char *text, size_t len)
{
    if (size - w.len + len > max)
        return size;
    memmove(s + w.at + len, s + w.at + w.len, size - w.at - w.len);
    memcpy(s + w.at, text, len);
    return size - w.len + len;
}

static inline int fuzz_is_number(const char *s, fuzz_word w)
{
    return (s[w.at] >= '0' && s[w.at] <= '9') || (s[w.at] == '-' && w.len > 1);
}

/* names: texts that may stand where a word of letters is, n of them. */
static inline size_t fuzz_change_word(char *s, size_t size, size_t max, const char *const *names, int n_names)
{
    static fuzz_word words[FUZZ_WORDS];
    char copy[64];
    size_t n = fuzz_words(s, size, " ,=|\n", words);
    if (n < 2)
        return size;
    const fuzz_word w = words[1 + fuzz_draw(n - 1)], other = words[1 + fuzz_draw(n - 1)];
    const size_t len = other.len < sizeof copy ? other.len : sizeof copy;
    memcpy(copy, s + other.at, len);
    if (fuzz_is_number(s, w) && fuzz_draw(3)) {
        snprintf(copy, sizeof copy, "%" PRId64 "%s", fuzz_number(), fuzz_draw(12) ? "" : ".5");
        return fuzz_splice(s, size, max, w, copy, strlen(copy));
    }
    /* An operator becomes another one. */
    if (w.at >= 2 && s[w.at - 2] == 'n' && s[w.at - 1] == ' ' && n_names > 0) {
        const char *name = names[fuzz_draw((size_t)n_names)];
        return fuzz_splice(s, size, max, w, name, strlen(name));
    }
    return fuzz_splice(s, size, max, w, copy, len);
}

/* One more in a list, or one less. */
static inline size_t fuzz_change_list(char *s, size_t size, size_t max)
{
    static fuzz_word words[FUZZ_WORDS];
    char text[32] = ",";
    size_t n = fuzz_words(s, size, " ,=\n", words);
    if (n < 2)
        return size;
    fuzz_word w = words[1 + fuzz_draw(n - 1)];
    if (fuzz_draw(2) && s[w.at - 1] == ',')
        return fuzz_splice(s, size, max, (fuzz_word){w.at - 1, w.len + 1}, "", 0);
    snprintf(text + 1, sizeof text - 1, "%" PRId64, fuzz_number());
    return fuzz_splice(s, size, max, (fuzz_word){w.at + w.len, 0}, text, strlen(text));
}

static inline size_t fuzz_change_lines(char *s, size_t size, size_t max)
{
    static fuzz_word lines[FUZZ_WORDS];
    size_t n = fuzz_words(s, size, "\n", lines);
    if (n < 2)
        return size;
    const fuzz_word a = lines[1 + fuzz_draw(n - 1)], b = lines[1 + fuzz_draw(n - 1)];
    char *copy = malloc(a.len + 1);
    if (!copy)
        return size;
    memcpy(copy, s + a.at, a.len);
    copy[a.len] = '\n';
    switch (fuzz_draw(3)) {
    case 0: size = fuzz_splice(s, size, max, (fuzz_word){a.at, a.len + (a.at + a.len < size)}, "", 0); break;
    case 1: size = fuzz_splice(s, size, max, (fuzz_word){b.at, 0}, copy, a.len + 1); break;
    default: size = fuzz_splice(s, size, max, b, copy, a.len);
    }
    free(copy);
    return size;
}

/* One to four changes. The first line stays. */
static inline size_t fuzz_change_text(uint8_t *data, size_t size, size_t max, const char *const *names, int n_names)
{
    char *s = (char *)data;
    for (size_t i = 1 + fuzz_draw(4); i > 0; i--)
        switch (fuzz_draw(8)) {
        case 0: case 1: size = fuzz_change_lines(s, size, max); break;
        case 2: size = fuzz_change_list(s, size, max); break;
        default: size = fuzz_change_word(s, size, max, names, n_names);
        }
    return size;
}

#endif
