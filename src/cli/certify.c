/* tern certify: every op, element type and implementation on this device and driver against the scalar reference. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <tern/certify.h>

/* What the callback collects: sums per op for people, every case for programs. */
typedef struct tally {
    cli_json *json;
    char op[64];
    int n_ok, n_bad, n_ops;
    double worst;
} tally;

static void print_op(const tally *t)
{
    if (t->op[0])
        printf("%-24s %5d passed  %5d failed   largest error %.2g of what is allowed\n", t->op, t->n_ok, t->n_bad, t->worst);
    fflush(stdout);
}

static void count_for_people(tally *t, const tern_certify_case *c)
{
    if (strcmp(t->op, c->op)) {
        print_op(t);
        snprintf(t->op, sizeof t->op, "%s", c->op);
        t->n_ok = t->n_bad = 0;
        t->worst = 0;
        t->n_ops++;
    }
    t->n_ok += c->passed;
    t->n_bad += !c->passed;
    double share = c->allowed > 0 ? c->max_error / c->allowed : c->max_error;
    if (share > t->worst)
        t->worst = share;
    if (!c->passed)
        printf("FAILED %s %s %s %s: %s\n", c->op, c->dtype, c->impl, c->shape, c->reason);
}

static void on_case(void *user, const tern_certify_case *c)
{
    tally *t = user;
    cli_json *j = t->json;
    if (!j) {
        count_for_people(t, c);
        return;
    }
    json_object(j, NULL);
    json_text(j, "op", c->op);
    json_text(j, "dtype", c->dtype);
    json_text(j, "impl", c->impl);
    json_text(j, "shape", c->shape);
    json_bool(j, "passed", c->passed);
    json_real(j, "max_error", c->max_error);
    json_real(j, "allowed", c->allowed);
    json_text(j, "reason", c->reason);
    json_close(j);
}

static int certify(tern_device *d, tern_certify_params *p, bool json)
{
    cli_json j;
    tally t = {.json = json ? &j : NULL};
    tern_device_info info;
    tern_device_get_info(d, &info);
    if (json) {
        json_begin(&j, stdout);
        json_device(&j, "device", &info);
        json_array(&j, "cases");
    } else {
        printf("%s, %s, driver %s\n", info.name, info.platform, info.driver);
    }
    p->on_case = on_case;
    p->user = &t;
    double start = cli_seconds();
    tern_certify_result r = {0};
    tern_status st = tern_certify(d, p, &r);
    if (json) {
        json_close(&j);
        json_int(&j, "passed", r.n_passed);
        json_int(&j, "failed", r.n_failed);
        json_real(&j, "seconds", cli_seconds() - start);
        json_end(&j);
    } else {
        print_op(&t);
        printf("%d passed, %d failed in %.0f s\n", r.n_passed, r.n_failed, cli_seconds() - start);
    }
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (r.n_failed)
        return cli_error(CLI_FAILED, "certify: %d of %d cases differ from the reference", r.n_failed, r.n_passed + r.n_failed);
    return CLI_OK;
}

static bool any_op_matches(const char *part)
{
    int n;
    const char *const *names = tern_op_names(&n);
    for (int i = 0; i < n; i++)
        if (!part || strstr(names[i], part))
            return true;
    return false;
}

int cli_certify(const cli *c, int argc, char **argv)
{
    bool json = false;
    const char *device = NULL;
    tern_certify_params p = {0};
    const cli_option options[] = {
        {"op", CLI_TEXT, &p.op, "NAME", "Only the ops whose name contains this.", 0, 0},
        {"quick", CLI_FLAG, &p.quick, NULL, "The smallest size of each case only.", 0, 0},
        CLI_OPT_JSON(&json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "certify", .synopsis = "[options]", .options = options,
        .about = "Runs every op in every element type and by every implementation on this very device and driver, at sizes that straddle the "
                 "kernels' tiles, and compares each result with a scalar reference computed on the host. Ends with exit code 1 if any differs by "
                 "more than its element type allows. Takes minutes where the driver compiles slowly.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (!any_op_matches(p.op))
        return cli_misuse("certify", "no op's name contains \"%s\"", p.op);
    tern_device *d = NULL;
    code = cli_open_device(c, device, CLI_COMPUTES, &d);
    if (code != CLI_OK)
        return code;
    code = certify(d, &p, json);
    tern_device_close(d);
    return code;
}
