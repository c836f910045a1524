/* The shape strings of tern bench: convolutions and pools in benchdnn's grammar, products as M:N:K, everything else as extents. */
#include "bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST ((int64_t)1 << 24)   /* of any number in a shape */
#define MOST_ELEMS ((int64_t)1 << 36)/* of any operand: no byte count overflows */
#define MOST_FLOPS 1e15              /* more would run for minutes on anything there is */

static bool fail(char *why, size_t size, const char *fmt, ...) TERN_PRINTF(3, 4);
static bool fail(char *why, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, size, fmt, ap);
    va_end(ap);
    return false;
}

/* --- Kinds --- */

static const struct {
    const char *name, *ops; /* ops: what may stand behind a colon, "|" between and around */
} kinds[] = {
    [BENCH_CONV] = {"conv", "|relu|bwd_d|bwd_w|"},
    [BENCH_GEMM] = {"gemm", NULL},
    [BENCH_MATMUL] = {"matmul", NULL},
    [BENCH_ELTWISE] = {"eltwise", NULL}, /* any op of the library */
    [BENCH_REDUCE] = {"reduce", "|sum|mean|prod|max|min|l1|l2|"},
    [BENCH_POOL] = {"pool", "|max|avg_np|avg_p|"},
    [BENCH_NORM] = {"norm", "|layer|rms|batch|instance|group|"},
    [BENCH_SOFTMAX] = {"softmax", NULL}, /* an axis */
    [BENCH_ATTENTION] = {"attention", "|causal|"},
    [BENCH_MODEL] = {"model", NULL},
};

const char *bench_kind_name(bench_kind k)
{
    return k >= BENCH_CONV && k < BENCH_N_KINDS ? kinds[k].name : NULL;
}

/* BENCH_N_KINDS: none. A model is a file, not a word. */
static bench_kind find_kind(const char *word)
{
    size_t n = strcspn(word, ":");
    for (int k = 0; k < BENCH_MODEL; k++)
        if (strlen(kinds[k].name) == n && !memcmp(kinds[k].name, word, n))
            return (bench_kind)k;
    return BENCH_N_KINDS;
}

bool bench_is_kind(const char *word)
{
    return find_kind(word) != BENCH_N_KINDS;
}

/* A whole number from 0 to the largest at *s, which moves behind it. */
static bool read_number(const char **s, int64_t *out)
{
    int64_t x = 0;
    const char *at = *s;
    for (; *at >= '0' && *at <= '9'; at++) {
        x = 10 * x + (*at - '0');
        if (x > LARGEST)
            return false;
    }
    if (at == *s)
        return false;
    *s = at;
    *out = x;
    return true;
}

/* Elements of an operand, counted without overflow. */
static bool few_enough(const int64_t *extent, int n, char *why, size_t size)
{
    int64_t elems = 1;
    for (int i = 0; i < n; i++) {
        if (extent[i] > 0 && elems > MOST_ELEMS / extent[i])
            return fail(why, size, "an operand has more than %lld elements", (long long)MOST_ELEMS);
        elems *= extent[i];
    }
    return true;
}

/* --- Convolutions and pools --- */

/* One letter of two is the axis: the order is that of the axes. */
enum { G, MB, IC, OC, ID, IH, IW, OD, OH, OW, KD, KH, KW, SD, SH, SW, PD, PH, PW, DD, DH, DW, N_KEYS };
static const char *const key_name[N_KEYS] = {"g", "mb", "ic", "oc", "id", "ih", "iw", "od", "oh", "ow", "kd",
                                             "kh", "kw", "sd", "sh", "sw", "pd", "ph", "pw", "dd", "dh", "dw"};

/* The longest key that s begins with, -1: none. */
static int find_key(const char *s)
{
    for (int k = N_KEYS - 1; k >= 0; k--) /* "g" is the only short one, and last */
        if (!strncmp(s, key_name[k], strlen(key_name[k])))
            return k;
    return -1;
}

/* Everything behind the letter n; quotes around it go. */
static bool read_name(const char *s, bench_problem *p, char *why, size_t size)
{
    size_t n = strlen(s);
    if (n >= 2 && *s == '"' && s[n - 1] == '"') {
        s++;
        n -= 2;
    }
    if (n >= sizeof p->name)
        return fail(why, size, "the name has more than %zu characters", sizeof p->name - 1);
    memcpy(p->name, s, n);
    p->name[n] = 0;
    return true;
}

/* -1 where a key is not given. */
static bool read_keys(const char *shape, int64_t v[N_KEYS], bench_problem *p, char *why, size_t size)
{
    for (int k = 0; k < N_KEYS; k++)
        v[k] = -1;
    for (const char *s = shape; *s;) {
        if (*s == '_') {
            s++;
            continue;
        }
        if (*s == 'n')
            return read_name(s + 1, p, why, size);
        int key = find_key(s);
        if (key < 0)
            return fail(why, size, "\"%.24s\" begins with none of g, mb, ic, id, ih, iw, oc, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw, n", s);
        if (p->kind == BENCH_POOL && (key == G || key == OC))
            return fail(why, size, "a pool has no %s", key_name[key]);
        if (v[key] >= 0)
            return fail(why, size, "%s is given twice", key_name[key]);
        s += strlen(key_name[key]);
        if (!read_number(&s, &v[key]))
            return fail(why, size, "%s needs a whole number up to %lld, not \"%.24s\"", key_name[key], (long long)LARGEST, s);
    }
    return true;
}

/* Nothing is said about this axis that a problem without it would not have. */
static bool is_absent(const int64_t v[N_KEYS], int a)
{
    return v[ID + a] <= 0 && v[OD + a] <= 0 && v[KD + a] <= 0 && v[DD + a] <= 0 && v[PD + a] <= 0 && (v[SD + a] < 0 || v[SD + a] == 1);
}

/* One axis as benchdnn reads it: no output extent: computed with no padding; no padding: what the output needs, half of it in front. */
static bool read_axis(const int64_t v[N_KEYS], int a, bench_problem *p, char *why, size_t size)
{
    int64_t in = v[ID + a], out = v[OD + a], kernel = v[KD + a], stride = v[SD + a] < 0 ? 1 : v[SD + a], pad = v[PD + a];
    int64_t dilation = 1 + (v[DD + a] < 0 ? 0 : v[DD + a]);
    if (in <= 0 || kernel <= 0 || stride == 0)
        return fail(why, size, "%s needs a number from 1", key_name[in <= 0 ? ID + a : kernel <= 0 ? KD + a : SD + a]);
    int64_t span = (kernel - 1) * dilation + 1;
    if (out <= 0) {
        pad = pad < 0 ? 0 : pad;
        if (in + 2 * pad < span)
            return fail(why, size, "a kernel over %lld does not fit an extent of %lld with %lld of padding on both sides", (long long)span, (long long)in,
                        (long long)pad);
        out = (in - span + 2 * pad) / stride + 1;
    }
    int64_t needed = (out - 1) * stride + span - in; /* padding on both sides together; below 0: not all of the input is used */
    if (pad < 0)
        pad = needed > 0 ? needed / 2 : 0;
    if (needed - pad <= -stride)
        return fail(why, size, "%s%lld leaves inputs unused that would make it %lld", key_name[OD + a], (long long)out,
                    (long long)((in + pad - span) / stride + 1));
    p->in[a] = in;
    p->out[a] = out;
    p->kernel[a] = kernel;
    p->stride[a] = stride;
    p->dilation[a] = dilation;
    p->pad[a] = pad;
    p->pad_end[a] = needed > pad ? needed - pad : 0;
    return true;
}

static void copy_axis(bench_problem *p, int to, int from)
{
    int64_t *const all[] = {p->in, p->out, p->kernel, p->stride, p->dilation, p->pad, p->pad_end};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        all[i][to] = all[i][from];
}

/* Axes that are left out: 1 in front of those that are there, like their neighbour behind. */
static bool read_axes(const int64_t v[N_KEYS], bench_problem *p, char *why, size_t size)
{
    int first = 0;
    while (first < 3 && is_absent(v, first))
        first++;
    if (first == 3)
        return fail(why, size, "it has no extents: at least ih and kh, or iw and kw, are needed");
    p->n_dims = 3 - first;
    for (int a = 0; a < 3; a++) {
        if (a < first) {
            p->in[a] = p->out[a] = p->kernel[a] = p->stride[a] = p->dilation[a] = 1;
            p->pad[a] = p->pad_end[a] = 0;
        } else if (a > first && is_absent(v, a)) {
            copy_axis(p, a, a - 1);
        } else if (!read_axis(v, a, p, why, size)) {
            return false;
        }
    }
    return true;
}

static bool check_window(const bench_problem *p, char *why, size_t size)
{
    const int64_t x[] = {p->batch, p->c_in, p->in[0], p->in[1], p->in[2]}, y[] = {p->batch, p->c_out, p->out[0], p->out[1], p->out[2]};
    const int64_t w[] = {p->c_out, p->c_in / p->group, p->kernel[0], p->kernel[1], p->kernel[2]};
    return few_enough(x, 5, why, size) && few_enough(y, 5, why, size) && (p->kind == BENCH_POOL || few_enough(w, 5, why, size));
}

static bool parse_window(const char *shape, bench_problem *p, char *why, size_t size)
{
    int64_t v[N_KEYS];
    if (!read_keys(shape, v, p, why, size) || !read_axes(v, p, why, size))
        return false;
    p->batch = v[MB] < 0 ? 2 : v[MB];
    p->group = v[G] < 0 ? 1 : v[G];
    p->c_in = v[IC];
    p->c_out = p->kind == BENCH_POOL ? v[IC] : v[OC];
    if (p->c_in <= 0 || p->c_out <= 0 || p->batch == 0 || p->group == 0)
        return fail(why, size, "%s needs a number from 1", p->c_in <= 0 ? "ic" : p->c_out <= 0 ? "oc" : p->batch == 0 ? "mb" : "g");
    if (p->c_in % p->group || p->c_out % p->group)
        return fail(why, size, "ic%lld and oc%lld do not both divide into %lld groups", (long long)p->c_in, (long long)p->c_out, (long long)p->group);
    return check_window(p, why, size);
}

/* --- Products --- */

/* [BATCHx]M:N:K[:AB], A and B being n or t. */
static bool parse_product(const char *shape, bench_problem *p, char *why, size_t size)
{
    const char *s = shape;
    int64_t first = 0;
    bool good = read_number(&s, &first);
    p->batch = 1;
    p->m = first;
    if (good && *s == 'x') {
        p->batch = first;
        s++;
        good = read_number(&s, &p->m);
    }
    good = good && *s++ == ':' && read_number(&s, &p->n) && *s++ == ':' && read_number(&s, &p->k);
    if (good && *s == ':') {
        good = (s[1] == 'n' || s[1] == 't') && (s[2] == 'n' || s[2] == 't');
        p->trans_a = good && s[1] == 't';
        p->trans_b = good && s[2] == 't';
        s += good ? 3 : 0;
    }
    if (!good || *s)
        return fail(why, size, "a product is [BATCHx]M:N:K[:nn|nt|tn|tt] with numbers up to %lld", (long long)LARGEST);
    if (p->batch == 0 || p->m == 0 || p->n == 0 || p->k == 0)
        return fail(why, size, "an extent of a product is 0");
    return few_enough((const int64_t[]){p->batch, p->m, p->k}, 3, why, size) && few_enough((const int64_t[]){p->batch, p->k, p->n}, 3, why, size) &&
           few_enough((const int64_t[]){p->batch, p->m, p->n}, 3, why, size);
}

/* --- Extents --- */

static bool parse_shape(const char **s, tern_shape *to, char *why, size_t size)
{
    for (;; (*s)++) {
        if (to->rank == TERN_MAX_RANK)
            return fail(why, size, "a shape has more than %d axes", TERN_MAX_RANK);
        if (!read_number(s, &to->dim[to->rank]) || to->dim[to->rank] == 0)
            return fail(why, size, "a shape is numbers from 1 to %lld with an x between, like 16x64x56x56", (long long)LARGEST);
        to->rank++;
        if (**s != 'x')
            return true;
    }
}

/* 16x64x56x56, several with colons between. */
static bool parse_shapes(const char *shape, bench_problem *p, char *why, size_t size)
{
    const int most = p->kind == BENCH_ELTWISE || p->kind == BENCH_ATTENTION ? 3 : p->kind == BENCH_REDUCE ? 2 : 1;
    for (const char *s = shape;; s++) {
        if (p->n_shapes == most)
            return fail(why, size, "more than %d shape%s", most, most > 1 ? "s" : "");
        tern_shape *to = &p->shape[p->n_shapes++];
        if (!parse_shape(&s, to, why, size) || !few_enough(to->dim, to->rank, why, size))
            return false;
        if (*s != ':')
            return !*s || fail(why, size, "nothing can follow a shape, but \"%.24s\" does", s);
    }
}

/* The result of a reduction: as written, or the last axis reduced. */
static bool check_reduce(bench_problem *p, char *why, size_t size)
{
    tern_shape *x = &p->shape[0], *y = &p->shape[1];
    if (p->n_shapes == 1) {
        *y = *x;
        y->dim[y->rank - 1] = 1;
        p->n_shapes = 2;
    }
    bool good = x->rank == y->rank, any = false;
    for (int i = 0; good && i < x->rank; i++) {
        good = y->dim[i] == x->dim[i] || y->dim[i] == 1;
        any = any || y->dim[i] != x->dim[i];
    }
    return (good && any) || fail(why, size, "each extent of a reduction's result is the operand's or 1, and at least one differs");
}

static bool known_op(const char *name)
{
    int n;
    const char *const *names = tern_op_names(&n);
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* Numbers behind a kind or an op: softmax:1, norm:group32. */
static bool read_suffix(const char *s, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    return !*s || (read_number(&s, out) && !*s);
}

static bool read_op(const char *kind, bench_problem *p, char *why, size_t size)
{
    const char *colon = strchr(kind, ':');
    const char *op = colon ? colon + 1 : p->kind == BENCH_ELTWISE ? "relu" : p->kind == BENCH_REDUCE ? "sum" : p->kind == BENCH_NORM ? "layer" : "";
    const char *name = kinds[p->kind].name;
    char wanted[48];
    if ((colon && !*op) || strlen(op) >= sizeof p->op)
        return fail(why, size, "nothing, or too much, behind the colon of \"%.40s\"", kind);
    snprintf(p->op, sizeof p->op, "%s", op);
    if (p->kind == BENCH_SOFTMAX)
        return read_suffix(op, -1, &p->number) || fail(why, size, "softmax:AXIS takes a whole number, not \"%s\"", op);
    if (p->kind == BENCH_NORM && !strncmp(op, "group", 5))
        return (read_suffix(op + 5, 32, &p->number) && p->number > 0) || fail(why, size, "norm:groupN takes a number from 1, not \"%s\"", op + 5);
    if (p->kind == BENCH_ELTWISE)
        return known_op(op) || fail(why, size, "there is no op called \"%s\"", op);
    snprintf(wanted, sizeof wanted, "|%s|", op);
    if (*op && !kinds[p->kind].ops)
        return fail(why, size, "%s takes nothing behind a colon", name);
    if (*op && (strchr(op, '|') || !strstr(kinds[p->kind].ops, wanted)))
        return fail(why, size, "%s has no \"%s\"; there are %.*s", name, op, (int)strlen(kinds[p->kind].ops) - 2, kinds[p->kind].ops + 1);
    return true;
}

static bool check_shapes(bench_problem *p, char *why, size_t size)
{
    const tern_shape *x = &p->shape[0];
    if (p->kind == BENCH_REDUCE)
        return check_reduce(p, why, size);
    if (p->kind == BENCH_ATTENTION) /* keys are as many as queries where nothing is said of them, values like keys */
        for (; p->n_shapes < 3; p->n_shapes++)
            p->shape[p->n_shapes] = p->shape[p->n_shapes - 1];
    if (p->kind == BENCH_SOFTMAX && p->number >= x->rank)
        return fail(why, size, "softmax has no axis %lld of %d", (long long)p->number, x->rank);
    bool channels = p->kind == BENCH_NORM && strcmp(p->op, "layer") && strcmp(p->op, "rms");
    if (channels && x->rank < 3)
        return fail(why, size, "norm:%s needs a batch, channels and at least one more axis", p->op);
    if (channels && p->number > 0 && x->dim[1] % p->number)
        return fail(why, size, "%lld channels do not divide into %lld groups", (long long)x->dim[1], (long long)p->number);
    return true;
}

/* --- The shortest form --- */

typedef struct writer {
    char *at;
    size_t left;
} writer;

static void put(writer *w, const char *fmt, ...) TERN_PRINTF(2, 3);
static void put(writer *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w->at, w->left, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < w->left ? (size_t)n : w->left - 1;
    w->at += used;
    w->left -= used;
}

static bool same_axis(const bench_problem *p, int a, int b)
{
    return p->in[a] == p->in[b] && p->out[a] == p->out[b] && p->kernel[a] == p->kernel[b] && p->stride[a] == p->stride[b] &&
           p->dilation[a] == p->dilation[b] && p->pad[a] == p->pad[b] && p->pad_end[a] == p->pad_end[b];
}

static void put_axes(writer *w, const bench_problem *p, int last, char letter, const int64_t v[3], int64_t less)
{
    for (int a = 3 - p->n_dims; a <= last; a++)
        put(w, "%c%c%lld", letter, "dhw"[a], (long long)(v[a] - less));
}

static bool any_not(const int64_t v[3], int64_t x)
{
    return v[0] != x || v[1] != x || v[2] != x;
}

static void put_window(writer *w, const bench_problem *p)
{
    int first = 3 - p->n_dims, last = 2;
    while (last > first && same_axis(p, last, last - 1))
        last--;
    if (p->group != 1)
        put(w, "g%lld", (long long)p->group);
    put(w, "mb%lldic%lld", (long long)p->batch, (long long)p->c_in);
    put_axes(w, p, last, 'i', p->in, 0);
    if (p->kind == BENCH_CONV)
        put(w, "oc%lld", (long long)p->c_out);
    put_axes(w, p, last, 'o', p->out, 0);
    put_axes(w, p, last, 'k', p->kernel, 0);
    if (any_not(p->stride, 1))
        put_axes(w, p, last, 's', p->stride, 0);
    put_axes(w, p, last, 'p', p->pad, 0);
    if (any_not(p->dilation, 1))
        put_axes(w, p, last, 'd', p->dilation, 1);
}

static void put_shape(writer *w, const tern_shape *s)
{
    for (int i = 0; i < s->rank; i++)
        put(w, i ? "x%lld" : "%lld", (long long)s->dim[i]);
}

static void write_text(bench_problem *p)
{
    writer w = {p->text, sizeof p->text};
    put(&w, *p->op ? "%s:%s " : "%s%s ", kinds[p->kind].name, p->op);
    if (p->kind == BENCH_CONV || p->kind == BENCH_POOL) {
        put_window(&w, p);
    } else if (p->kind == BENCH_GEMM || p->kind == BENCH_MATMUL) {
        if (p->batch != 1)
            put(&w, "%lldx", (long long)p->batch);
        put(&w, "%lld:%lld:%lld", (long long)p->m, (long long)p->n, (long long)p->k);
        if (p->trans_a || p->trans_b)
            put(&w, ":%c%c", p->trans_a ? 't' : 'n', p->trans_b ? 't' : 'n');
    } else {
        for (int i = 0; i < p->n_shapes; i++) {
            if (i)
                put(&w, ":");
            put_shape(&w, &p->shape[i]);
        }
    }
}

/* --- All together --- */

bool bench_parse(const char *kind, const char *shape, bench_problem *out, char *why, size_t size)
{
    bench_problem p = {.kind = find_kind(kind), .batch = 1, .group = 1};
    if (p.kind == BENCH_N_KINDS)
        return fail(why, size, "\"%.40s\" is no kind of problem", kind);
    if (!read_op(kind, &p, why, size))
        return false;
    bool good;
    if (p.kind == BENCH_CONV || p.kind == BENCH_POOL)
        good = parse_window(shape, &p, why, size);
    else if (p.kind == BENCH_GEMM || p.kind == BENCH_MATMUL)
        good = parse_product(shape, &p, why, size);
    else
        good = parse_shapes(shape, &p, why, size) && check_shapes(&p, why, size);
    if (!good)
        return false;
    if (bench_flops(&p) > MOST_FLOPS)
        return fail(why, size, "it takes %.1e operations, more than %.0e", bench_flops(&p), MOST_FLOPS);
    write_text(&p);
    *out = p;
    return true;
}

double bench_flops(const bench_problem *p)
{
    if (p->kind == BENCH_GEMM || p->kind == BENCH_MATMUL)
        return 2.0 * (double)p->batch * (double)p->m * (double)p->n * (double)p->k;
    if (p->kind != BENCH_CONV)
        return 0;
    double x = 2.0 * (double)p->batch * (double)p->c_out * (double)(p->c_in / p->group);
    for (int a = 0; a < 3; a++)
        x *= (double)p->out[a] * (double)p->kernel[a];
    return x;
}

const bench_default *bench_defaults(int *n)
{
    static const bench_default all[] = {
        {"conv", "mb1ic3ih224oc64oh112kh7sh2ph3n\"resnet50 first\""},
        {"conv", "mb1ic64ih56oc64oh56kh3ph1n\"resnet50 3x3 a\""},
        {"conv", "mb1ic128ih28oc128oh28kh3ph1n\"resnet50 3x3 b\""},
        {"conv", "mb1ic256ih14oc256oh14kh3ph1n\"resnet50 3x3 c\""},
        {"conv", "mb1ic512ih7oc512oh7kh3ph1n\"resnet50 3x3 d\""},
        {"conv", "mb1ic64ih56oc256oh56kh1ph0n\"resnet50 1x1 wide\""},
        {"conv", "mb1ic1024ih14oc256oh14kh1ph0n\"resnet50 1x1 deep\""},
        {"conv", "mb1ic64ih224oc64oh224kh3ph1n\"vgg16 3x3\""},
        {"conv", "g144mb1ic144ih56oc144oh56kh3ph1n\"mobilenet depthwise\""},
        {"conv", "g96mb1ic96ih112oc96oh56kh3sh2ph1n\"mobilenet depthwise stride 2\""},
        {"gemm", "256:256:256"},
        {"gemm", "512:512:512"},
        {"gemm", "1024:1024:1024"},
        {"gemm", "2048:2048:2048"},
        {"gemm", "1:4096:4096"},
        {"matmul", "12x512:512:64:nt"},
        {"matmul", "12x512:64:512"},
        {"eltwise:relu", "16x64x112x112"},
        {"eltwise:gelu", "8x512x3072"},
        {"eltwise:add", "16x64x112x112:16x64x112x112"},
        {"reduce:sum", "4096x4096:4096x1"},
        {"reduce:mean", "4096x4096:1x4096"},
        {"pool", "mb16ic64ih112oh56kh3sh2ph1"},
        {"norm:layer", "4096x1024"},
        {"norm:batch", "16x64x112x112"},
        {"softmax", "4096x1024"},
        {"attention", "1x12x128x64"},
        {"attention", "1x12x512x64"},
        {"attention:causal", "1x12x1024x64"},
        {"attention", "1x32x1x128:1x8x2048x128"},
    };
    *n = (int)(sizeof all / sizeof *all);
    return all;
}
