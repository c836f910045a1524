/* Kernels that are the same but for where they read become one, launched many times: the steps of an unrolled loop, repeated blocks, layers of
 * different sizes.
 *
 * Codegen writes what may differ as marks: a name's place, the numbers of an address, a template's sizes, numbers that are computed with, the end of a
 * parameter list. Kernels whose text
 * between the marks is equal form a class. The first stands for all; numbers that differ within the class become its last parameters. */
#include "compile/share.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"

/* More than these are not worth passing. */
enum { MOST_OFFSETS = sizeof(((tern__kern *)0)->offsets) / sizeof(uint32_t) };

/* Kernels of one text. */
typedef struct class {
    tern__digest digest;
    int n_constants;
    tern__kern *first;
    int n_members;
} class;

/* --- Marks --- */

#define PLACES TERN__MARK_ADDED TERN__MARK_ALONE TERN__MARK_SIZE
#define NUMBERS TERN__MARK_FLOAT TERN__MARK_INT

static bool is_constant_mark(char ch)
{
    return ch && strchr(PLACES NUMBERS, ch);
}

/* Reads the number behind a mark at *s, which ends with a mark of its own, and steps past it. */
static int64_t read_constant(const char **s)
{
    int64_t x = 0;
    const bool negative = *++*s == '-';
    *s += negative;
    for (; **s != TERN__MARK_END[0]; ++*s)
        x = x * 10 + (**s - '0');
    ++*s;
    return negative ? -x : x;
}

/* Appends text with the numbers left out and, if constants is given, collects them there, and in kinds their marks. n of either are there already; gives
 * how many there are then. */
static int skeleton(const char *s, tern__str *out, int64_t *constants, char *kinds, int n)
{
    for (const char *plain = s;;) {
        const size_t run = strcspn(plain, PLACES NUMBERS);
        if (out)
            tern__str_addn(out, plain, run);
        plain += run;
        if (!*plain)
            return n;
        if (out)
            tern__str_addn(out, plain, 1);
        if (kinds)
            kinds[n] = *plain;
        const int64_t x = read_constant(&plain);
        if (constants)
            constants[n] = x;
        n++;
    }
}

/* What codegen wrote, beside defines. */
static const char *body_of(const tern__kern *k)
{
    return tern__str_text(k->template_name ? &k->hooks : &k->code);
}

/* Everything that makes a kernel what it is, but for its name and constants. */
static tern_status describe(const tern__kern *k, const tern_graph *g, tern__str *text, int64_t **constants, int *n)
{
    const char *defines = tern__str_text(&k->defines), *body = body_of(k);
    *n = skeleton(body, NULL, NULL, NULL, skeleton(defines, NULL, NULL, NULL, 0));
    *constants = tern__alloc_array((size_t)*n + 1, sizeof **constants);
    tern__str_clear(text);
    tern__str_addf(text, "%s\n", k->template_name ? k->template_name : "");
    tern__print_params(text, g, &k->params, NULL);
    tern__str_add(text, "\n");
    if (*constants)
        skeleton(body, text, *constants, NULL, skeleton(defines, text, *constants, NULL, 0));
    return *constants && !text->failed && !k->hooks.failed && !k->code.failed ? TERN_OK : tern__fail(TERN_E_NOMEM, "compile: a kernel's description");
}

/* A number that is computed with: in its parameter, a uint, are its bits. */
static void render_number(char mark, int64_t x, int offset, tern__str *out)
{
    const uint32_t bits = (uint32_t)x;
    float f;
    memcpy(&f, &bits, sizeof f);
    if (offset >= 0)
        tern__str_addf(out, mark == TERN__MARK_FLOAT[0] ? "as_float(ho%d)" : "as_int(ho%d)", offset);
    else if (mark == TERN__MARK_FLOAT[0])
        tern__str_add_f32(out, (double)f);
    else
        tern__str_addf(out, "%lld", (long long)x);
}

void tern__kern_render(const tern__kern *k, const char *s, bool item, int *mark, tern__str *out)
{
    for (;;) {
        const size_t run = strcspn(s, PLACES NUMBERS TERN__MARK_NAME TERN__MARK_PARAMS);
        tern__str_addn(out, s, run);
        s += run;
        if (!*s)
            return;
        const char ch = *s;
        if (!is_constant_mark(ch)) {
            s++;
            if (ch == TERN__MARK_NAME[0])
                tern__str_add(out, k->name);
            for (int i = 0; i < k->n_offsets && ch == TERN__MARK_PARAMS[0]; i++)
                tern__str_addf(out, ", const uint ho%d", i);
            if (item && ch == TERN__MARK_PARAMS[0])
                tern__str_add(out, ", const uint4 tern_at, const uint4 tern_of");
            continue;
        }
        const int64_t x = read_constant(&s);
        const int offset = k->offset_of ? k->offset_of[*mark] : -1;
        ++*mark;
        if (strchr(NUMBERS, ch))
            render_number(ch, x, offset, out);
        else if (offset >= 0)
            tern__str_addf(out, "%sho%d", ch == TERN__MARK_ADDED[0] ? " + " : "", offset);
        else if (ch != TERN__MARK_ADDED[0])
            tern__str_addf(out, "%uu", (unsigned)x);
        else if (x)
            tern__str_addf(out, " %c %lldu", x < 0 ? '-' : '+', (long long)(x < 0 ? -x : x));
    }
}

/* --- Classes --- */

typedef struct classes {
    class *items;
    int n, cap;
    int *of;                 /* per kernel, in order: its class */
    int64_t **constants;     /* per kernel */
    tern__kern **kerns;
    int n_kerns;
    int *table, table_size;  /* open addressing by digest: class + 1, 0 none */
} classes;

static bool same_range(const tern__kern *a, const tern__kern *b)
{
    return a->dims == b->dims && memcmp(a->local, b->local, sizeof a->local) == 0;
}

/* The class of a digest, made if there is none; -1: no memory. */
static int find_class(classes *l, tern__digest d, tern__kern *k, int n_constants)
{
    int at = (int)(d.lo & (uint64_t)(l->table_size - 1));
    for (; l->table[at]; at = (at + 1) & (l->table_size - 1)) {
        const class *c = &l->items[l->table[at] - 1];
        if (tern__digest_equal(c->digest, d) && c->n_constants == n_constants && same_range(c->first, k))
            return l->table[at] - 1;
    }
    if (!TERN_GROW(l->items, l->n, l->cap))
        return -1;
    l->items[l->n] = (class){.digest = d, .n_constants = n_constants, .first = k};
    l->table[at] = ++l->n;
    return l->n - 1;
}

static tern_status sort_into_classes(classes *l, const tern_graph *g)
{
    tern__str text = {0};
    tern_status st = TERN_OK;
    for (int i = 0; i < l->n_kerns && st == TERN_OK; i++) {
        int n = 0;
        st = describe(l->kerns[i], g, &text, &l->constants[i], &n);
        if (st != TERN_OK)
            break;
        l->of[i] = find_class(l, tern__hash(tern__str_text(&text), text.len), l->kerns[i], n);
        if (l->of[i] < 0)
            st = tern__fail(TERN_E_NOMEM, "compile: classes of kernels");
        else
            l->items[l->of[i]].n_members++;
    }
    tern__str_finish(&text);
    return st;
}

/* --- Offsets --- */

/* Are constants a and b the same in every member? */
static bool move_together(const classes *l, const int *members, int n_members, int a, int b)
{
    for (int i = 0; i < n_members; i++)
        if (l->constants[members[i]][a] != l->constants[members[i]][b])
            return false;
    return true;
}

/* Which of n constants become parameters: those that differ from the first member's in some other. Gives how many parameters that makes, and in
 * source a constant of each; -1: too many. */
static int choose_offsets(const classes *l, const int *members, int n_members, int n_constants, int *offset_of, int source[MOST_OFFSETS])
{
    const int64_t *first = l->constants[members[0]];
    int n = 0;
    for (int m = 0; m < n_constants; m++) {
        bool differs = false;
        offset_of[m] = -1;
        for (int i = 0; i < n_members && !differs; i++)
            differs = l->constants[members[i]][m] != first[m];
        for (int o = 0; o < n && differs && offset_of[m] < 0; o++)
            offset_of[m] = move_together(l, members, n_members, m, source[o]) ? o : -1;
        if (!differs || offset_of[m] >= 0)
            continue;
        if (n == MOST_OFFSETS)
            return -1;
        source[n] = m;
        offset_of[m] = n++;
    }
    return n;
}

/* Makes the first member stand for all; *shared is false where too much differs. */
static tern_status share_all(const classes *l, const int *members, int n_members, int n_constants, bool *shared)
{
    int source[MOST_OFFSETS];
    int *offset_of = tern__alloc_array((size_t)n_constants + 1, sizeof *offset_of);
    if (!offset_of)
        return tern__fail(TERN_E_NOMEM, "compile: %d addresses", n_constants);
    const int n = choose_offsets(l, members, n_members, n_constants, offset_of, source);
    *shared = n >= 0;
    if (!*shared) {
        tern__free(offset_of);
        return TERN_OK;
    }
    tern__kern *first = l->kerns[members[0]];
    for (int i = 0; i < n_members; i++) {
        tern__kern *to = l->kerns[members[i]];
        to->shared_with = i ? first : NULL;
        to->n_offsets = n;
        for (int o = 0; o < n; o++)
            to->offsets[o] = (uint32_t)l->constants[members[i]][source[o]];
    }
    first->offset_of = offset_of;
    return TERN_OK;
}

/* Puts the members whose numbers with these marks are the first one's in front and gives how many they are. */
static int same_numbers(const classes *l, int *members, int n_members, int n_constants, const char *kinds, const char *marks)
{
    int n = 1;
    for (int i = 1; i < n_members; i++) {
        bool same = true;
        for (int m = 0; m < n_constants && same; m++)
            same = !strchr(marks, kinds[m]) || l->constants[members[i]][m] == l->constants[members[0]][m];
        if (!same)
            continue;
        const int swap = members[n];
        members[n++] = members[i];
        members[i] = swap;
    }
    return n;
}

/* The members become one kernel, or if too much differs, those that compute with the same numbers, or of these, those of the same sizes. */
static tern_status share_most(const classes *l, int n_constants, const char *kinds, int *members, int n_members, int level)
{
    static const char *const marks[] = {NUMBERS, TERN__MARK_SIZE};
    bool shared;
    TERN_TRY(share_all(l, members, n_members, n_constants, &shared));
    while (!shared && level < TERN_COUNT(marks) && n_members > 1) {
        const int n = same_numbers(l, members, n_members, n_constants, kinds, marks[level]);
        if (n > 1)
            TERN_TRY(share_most(l, n_constants, kinds, members, n, level + 1));
        members += n;
        n_members -= n;
    }
    return TERN_OK;
}

static tern_status share_class(const classes *l, const class *c, int *members, int n_members)
{
    char *kinds = tern__alloc_array((size_t)c->n_constants + 1, sizeof *kinds);
    if (!kinds)
        return tern__fail(TERN_E_NOMEM, "compile: %d addresses", c->n_constants);
    skeleton(body_of(c->first), NULL, NULL, kinds, skeleton(tern__str_text(&c->first->defines), NULL, NULL, kinds, 0));
    tern_status st = share_most(l, c->n_constants, kinds, members, n_members, 0);
    tern__free(kinds);
    return st;
}

static tern_status share_members(const classes *l)
{
    int *members = tern__alloc_array((size_t)l->n_kerns + 1, sizeof *members), *next = tern__alloc_array((size_t)l->n_kerns + 1, sizeof *next);
    int *head = tern__alloc_array((size_t)l->n + 1, sizeof *head);
    tern_status st = members && next && head ? TERN_OK : tern__fail(TERN_E_NOMEM, "compile: %d kernels", l->n_kerns);
    for (int i = l->n_kerns - 1; i >= 0 && st == TERN_OK; i--) { /* lists of indices plus one, in order */
        next[i] = head[l->of[i]];
        head[l->of[i]] = i + 1;
    }
    for (int c = 0; c < l->n && st == TERN_OK; c++) {
        int n = 0;
        for (int i = head[c]; i; i = next[i - 1])
            members[n++] = i - 1;
        if (n > 1)
            st = share_class(l, &l->items[c], members, n);
    }
    tern__free(members);
    tern__free(next);
    tern__free(head);
    return st;
}

tern_status tern__share_kernels(tern__compile *c)
{
    classes l = {.table_size = 16};
    int total = 0;
    for (int i = 0; i < c->n_groups; i++)
        total += c->groups[i]->n_kerns;
    while (l.table_size < 2 * total)
        l.table_size *= 2;
    l.of = tern__alloc_array((size_t)total + 1, sizeof *l.of);
    l.constants = tern__alloc_array((size_t)total + 1, sizeof *l.constants);
    l.kerns = tern__alloc_array((size_t)total + 1, sizeof *l.kerns);
    l.table = tern__alloc_array((size_t)l.table_size, sizeof *l.table);
    tern_status st = l.of && l.constants && l.kerns && l.table ? TERN_OK : tern__fail(TERN_E_NOMEM, "compile: %d kernels", total);
    for (int i = 0; i < c->n_groups && st == TERN_OK; i++)
        for (int k = 0; k < c->groups[i]->n_kerns; k++)
            if (!c->groups[i]->kerns[k]->call)
                l.kerns[l.n_kerns++] = c->groups[i]->kerns[k];
    if (st == TERN_OK)
        st = sort_into_classes(&l, c->g);
    if (st == TERN_OK)
        st = share_members(&l);
    for (int i = 0; i < l.n_kerns && l.constants; i++)
        tern__free(l.constants[i]);
    tern__free(l.of);
    tern__free(l.constants);
    tern__free(l.kerns);
    tern__free(l.table);
    tern__free(l.items);
    return st;
}
