/* Reads a subcommand's options from a table, and prints its help from the same table. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void cli_print_folded(FILE *to, const char *text, int indent)
{
    int column = indent;
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (column + (int)word > 80 && column > indent) {
            fprintf(to, "\n%*s", indent, "");
            column = indent;
        }
        fwrite(text, 1, word, to);
        column += (int)word;
        text += word;
        if (*text == '\n') {
            fprintf(to, "\n%*s", indent, "");
            column = indent;
            text++;
        } else if (*text == ' ') {
            fputc(' ', to);
            column++;
            text++;
        }
    }
    fputc('\n', to);
}

static void print_help(const cli_usage *u)
{
    printf("Usage: tern %s %s\n\n", u->command, u->synopsis);
    cli_print_folded(stdout, u->about, 0);
    printf("\nOptions:\n");
    for (const cli_option *o = u->options; o->name; o++) {
        int n = printf("  --%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        if (n < 22)
            printf("%*s", 22 - n, "");
        else
            printf("\n%*s", 22, "");
        cli_print_folded(stdout, o->help, 22);
    }
    printf("  --help              Show this text.\n");
}

/* The option that arg (after the dashes, maybe with =value) names. */
static const cli_option *find(const cli_option *options, const char *arg)
{
    size_t n = strcspn(arg, "=");
    for (const cli_option *o = options; o->name; o++)
        if (strlen(o->name) == n && !memcmp(o->name, arg, n))
            return o;
    return NULL;
}

static bool read_count(const char *command, const cli_option *o, const char *text)
{
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)x < o->min || (double)x > o->max) {
        cli_misuse(command, "--%s takes a whole number from %.0f to %.0f, not \"%s\"", o->name, o->min, o->max, text);
        return false;
    }
    *(int64_t *)o->to = x;
    return true;
}

static bool read_real(const char *command, const cli_option *o, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x) || x < o->min || x > o->max) {
        cli_misuse(command, "--%s takes a number from %g to %g, not \"%s\"", o->name, o->min, o->max, text);
        return false;
    }
    *(double *)o->to = x;
    return true;
}

static bool read_value(const char *command, const cli_option *o, const char *text)
{
    cli_list *list;
    switch (o->kind) {
    case CLI_COUNT:
        return read_count(command, o, text);
    case CLI_REAL:
        return read_real(command, o, text);
    case CLI_TEXT:
        if (!*text) {
            cli_misuse(command, "--%s needs a value", o->name);
            return false;
        }
        *(const char **)o->to = text;
        return true;
    case CLI_LIST:
        list = o->to;
        if (list->n == (int)(sizeof list->item / sizeof list->item[0])) {
            cli_misuse(command, "--%s can be given %d times at most", o->name, list->n);
            return false;
        }
        list->item[list->n++] = text;
        return true;
    case CLI_FLAG:
        break;
    }
    return false;
}

/* One option at argv[*i], moving *i over a value of its own. */
static bool read_option(const cli_usage *u, int argc, char **argv, int *i)
{
    const char *arg = argv[*i] + 2;
    const cli_option *o = find(u->options, arg);
    if (!o) {
        cli_misuse(u->command, "unknown option \"%s\"", argv[*i]);
        return false;
    }
    const char *equals = strchr(arg, '=');
    if (o->kind == CLI_FLAG) {
        if (equals) {
            cli_misuse(u->command, "--%s takes no value", o->name);
            return false;
        }
        *(bool *)o->to = true;
        return true;
    }
    if (!equals && *i + 1 >= argc) {
        cli_misuse(u->command, "--%s needs a value (%s)", o->name, o->value);
        return false;
    }
    return read_value(u->command, o, equals ? equals + 1 : argv[++*i]);
}

bool cli_parse(const cli_usage *u, int argc, char **argv, int *code)
{
    bool plain_only = false;
    int n_plain = 0;
    *code = CLI_USAGE;
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--"))
            break;
        else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(u);
            *code = CLI_OK;
            return false;
        }
    for (int i = 0; i < argc; i++) {
        if (!plain_only && !strcmp(argv[i], "--")) {
            plain_only = true;
        } else if (!plain_only && argv[i][0] == '-' && argv[i][1] == '-') {
            if (!read_option(u, argc, argv, &i))
                return false;
        } else if (!plain_only && argv[i][0] == '-' && argv[i][1]) {
            cli_misuse(u->command, "unknown option \"%s\"", argv[i]);
            return false;
        } else if (u->n_plain) {
            argv[n_plain++] = argv[i]; /* never past i: what stood there was read before */
        } else if (!u->positional || *u->positional) {
            cli_misuse(u->command, "one argument too many: \"%s\"", argv[i]);
            return false;
        } else {
            *u->positional = argv[i];
        }
    }
    if (u->n_plain)
        *u->n_plain = n_plain;
    if (!u->may_lack_positional && (u->n_plain ? n_plain == 0 : u->positional && !*u->positional)) {
        cli_misuse(u->command, "%s is missing", u->positional_name);
        return false;
    }
    *code = CLI_OK;
    return true;
}
