/* Suggestions for a name that was not found: the ones few typing errors away. */
#include "graph/node.h"

#include "base/status.h"

#include <string.h>

enum { LONGEST = 63, MOST_SUGGESTIONS = 4 };

/* Levenshtein's distance of two words; large for words longer than LONGEST. */
static int distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST || nb > LONGEST)
        return LONGEST;
    int row[LONGEST + 1];
    for (size_t j = 0; j <= nb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int replace = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = TERN_MIN(replace, 1 + TERN_MIN(row[j], row[j - 1]));
        }
    }
    return row[nb];
}

/* How far apart, from 0; FAR where nobody would take one for the other. A word inside a longer name counts as the last of the near ones. */
enum { FAR = 4 };
static int apart(const char *word, const char *name)
{
    size_t n = strlen(word);
    int d = distance(word, name);
    if (d <= (n < 4 ? 1 : n < 8 ? 2 : 3))
        return d;
    return n >= 3 && strstr(name, word) ? FAR - 1 : FAR;
}

void tern__near_names(tern__str *s, const char *word, const char *(*name)(const void *user, int i), const void *user, int n)
{
    int found = 0;
    for (int d = 0; d < FAR; d++)
        for (int i = 0; i < n && found < MOST_SUGGESTIONS; i++)
            if (apart(word, name(user, i)) == d)
                tern__str_addf(s, "%s%s", found++ ? ", " : "; did you mean ", name(user, i));
    if (found)
        tern__str_add(s, "?");
}
