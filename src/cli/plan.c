/* tern plan: the groups a model becomes on a device, and the account of the bytes they move. */
#include "cli.h"

static void print_totals(const tern_plan_info *p)
{
    char a[24], b[24], c[24], d[24];
    double unfused = p->bytes_unfused ? (double)p->bytes_unfused : 1;
    printf("\n%d ops in %d groups, %d kernels, %d launches; %d programs, %d of them from the cache; ready in %.0f ms\n",
           p->n_nodes, p->n_groups, p->n_kernels, p->n_launches, p->n_programs, p->n_programs_cached, p->compile_s * 1e3);
    printf("bytes a run   unfused %s, this plan %s (%.2f of it), its groups' weights and ends once %s (%.2f times that), lower bound %s\n",
           cli_bytes((double)p->bytes_unfused, a), cli_bytes((double)p->bytes_fused, b), (double)p->bytes_fused / unfused,
           cli_bytes((double)p->bytes_bound, d), p->bytes_bound ? (double)p->bytes_fused / (double)p->bytes_bound : 1.0,
           cli_bytes((double)p->bytes_lower, c));
    printf("arena         peak %s, lower bound %s (%.2f of it)\n", cli_bytes((double)p->arena_bytes, a),
           cli_bytes((double)p->arena_lower_bytes, b),
           p->arena_lower_bytes ? (double)p->arena_bytes / (double)p->arena_lower_bytes : 1.0);
    printf("memory        constants %s, variables %s\n", cli_bytes((double)p->constant_bytes, a), cli_bytes((double)p->variable_bytes, b));
    printf("operations    %.3g a run\n", (double)p->flops);
    if (p->n_tuned)
        printf("tuned         %d groups run as measured by tern tune\n", p->n_tuned);
}

/* All groups together; 0 without --time. */
static double total_us(const tern_session *s)
{
    double us = 0;
    tern_group_info g;
    for (int i = 0; i < tern_session_n_groups(s); i++)
        if (tern_session_group(s, i, &g) == TERN_OK)
            us += g.time_us;
    return us;
}

static int print_groups(const tern_session *s)
{
    char a[24], b[24];
    double all = total_us(s);
    printf("%-40s %-12s %-6s %10s %10s %9s%s  %s\n", "kernel", "kind", "tuned", "unfused", "fused", "Mflop", all > 0 ? "   time us  share      GB/s" : "", "ops");
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info g;
        tern_status st = tern_session_group(s, i, &g);
        if (st != TERN_OK)
            return cli_fail(st, NULL);
        printf("%-40s %-12s %-6s %10s %10s %9.2f", g.name, g.impl, *g.tuned ? g.tuned : "-", cli_bytes((double)g.bytes_unfused, a),
               cli_bytes((double)g.bytes_fused, b), (double)g.flops * 1e-6);
        if (all > 0)
            printf(" %9.1f %4.1f %% %9.1f", g.time_us, 100 * g.time_us / all, g.time_us > 0 ? (double)g.bytes_fused / g.time_us * 1e-3 : 0.0);
        printf("  %s\n", g.ops);
    }
    if (all > 0)
        printf("\nall groups together %.1f us, medians of profiled runs\n", all);
    return CLI_OK;
}

static int print_json(const tern_session *s, const tern_plan_info *info, const tern_device_info *device, bool source)
{
    cli_json j;
    bool timed = total_us(s) > 0;
    json_begin(&j, stdout);
    json_device(&j, "device", device);
    json_plan(&j, "plan", info);
    json_array(&j, "groups");
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info g;
        tern_status st = tern_session_group(s, i, &g);
        if (st != TERN_OK)
            return cli_fail(st, NULL);
        json_object(&j, NULL);
        json_text(&j, "name", g.name);
        json_text(&j, "impl", g.impl);
        json_text(&j, "ops", g.ops);
        json_text(&j, "choice", g.choice);
        json_text(&j, "tuned", *g.tuned ? g.tuned : NULL);
        json_text(&j, "problem", g.problem);
        json_int(&j, "bytes_unfused", g.bytes_unfused);
        json_int(&j, "bytes_fused", g.bytes_fused);
        json_int(&j, "flops", g.flops);
        json_int(&j, "launches", g.n_launches);
        if (timed)
            json_real(&j, "time_us", g.time_us);
        json_close(&j);
    }
    json_close(&j);
    if (source)
        json_text(&j, "source", tern_session_source(s));
    json_end(&j);
    return CLI_OK;
}

static int show(const tern_session *s, const tern_device_info *device, bool json, bool source)
{
    tern_plan_info info;
    tern_session_get_info(s, &info);
    cli_note(info.tuned_note);
    if (json)
        return print_json(s, &info, device, source);
    if (source) {
        fputs(tern_session_source(s), stdout);
        return CLI_OK;
    }
    printf("Plan for %s\n\n", device->name);
    int code = print_groups(s);
    if (code == CLI_OK)
        print_totals(&info);
    return code;
}

/* A graph that updates its variables cannot be frozen; one that only computes is planned as inference. */
static tern_status open_session(tern_device *d, const tern_graph *g, const char *disable, const cli_choices *choices, tern_session **s)
{
    tern_session_params p = {.freeze = true, .disable = disable, .exact = choices->exact, .no_tuned = choices->no_tuned};
    tern_status st = tern_session_create(d, g, &p, s);
    if (st != TERN_E_INVALID)
        return st;
    p.freeze = false;
    return tern_session_create(d, g, &p, s);
}

/* Runs that the device times, on random operands in its memory. The first, which drivers make slow, hides behind the median. */
static int time_groups(tern_session *s, tern_device *d, const tern_graph *g)
{
    enum { RUNS = 24 };
    char why[320];
    tern_tensor **in = NULL;
    if (cli_device_inputs(d, g, &in, why, sizeof why) != TERN_OK)
        return cli_error(CLI_FAILED, "plan: --time: %s", why);
    tern_status st = TERN_OK;
    for (int i = 0; i < RUNS && st == TERN_OK; i++) {
        st = tern_session_run(s, in, NULL);
        if (st == TERN_OK)
            st = tern_session_finish(s);
    }
    cli_device_inputs_destroy(&in);
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

int cli_plan(const cli *c, int argc, char **argv)
{
    bool json = false, no_fuse = false, source = false, time = false;
    cli_choices choices = {.exact = false};
    const char *device = NULL, *model = NULL, *disable = NULL;
    cli_list dims = {.n = 0};
    cli_dims extents;
    const cli_option options[] = {
        CLI_OPT_DIM(&dims),
        {"no-fuse", CLI_FLAG, &no_fuse, NULL, "Plan every op on its own.", 0, 0},
        {"disable", CLI_TEXT, &disable, "PASSES", "Leave out these passes, separated by commas; \"all\" for every optional one.", 0, 0},
        CLI_OPT_CHOICES(&choices),
        {"source", CLI_FLAG, &source, NULL, "Print the generated OpenCL C instead of the table (with --json: in the document).", 0, 0},
        {"time", CLI_FLAG, &time, NULL, "Also run the plan on random numbers and show how long each group takes on the device.", 0, 0},
        CLI_OPT_JSON(&json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "plan", .synopsis = "MODEL [options]", .options = options, .positional = &model, .positional_name = "MODEL",
        .about = "Compiles a saved model and shows its groups: the kernel of each, the ops fused into it and the bytes it moves, beside what the "
                 "ops would move one by one; then the sums, the least that any plan could move, and the peak of the memory for intermediates "
                 "beside its lower bound. An ONNX model is planned for one set of extents. With --device null nothing is needed but the file.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (no_fuse && disable)
        return cli_misuse("plan", "--no-fuse and --disable exclude each other");
    tern_graph *g = NULL;
    tern_device *d = NULL;
    tern_session *s = NULL;
    code = cli_dims_read("plan", &dims, &extents);
    if (code == CLI_OK)
        code = cli_load_graph("plan", model, &(cli_graph_params){.dims = &extents}, &g);
    if (code == CLI_OK)
        code = cli_open_device(c, device, time ? CLI_PROFILE | CLI_COMPUTES : 0u, &d);
    if (code == CLI_OK) {
        tern_device_info info;
        tern_device_get_info(d, &info);
        tern_status st = open_session(d, g, no_fuse ? "fuse" : disable, &choices, &s);
        code = st == TERN_OK ? CLI_OK : cli_fail(st, model);
        if (code == CLI_OK && time)
            code = time_groups(s, d, g);
        if (code == CLI_OK)
            code = show(s, &info, json, source);
    }
    tern_session_destroy(s);
    tern_device_close(d);
    tern_graph_destroy(g);
    cli_dims_finish(&extents);
    return code;
}
