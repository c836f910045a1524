/* tern devices: every platform and device, what it can do, how fast it is, and why one is chosen. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char *type_name(tern_device_type t)
{
    static const char *const names[] = {"CPU", "GPU", "accelerator", "null"};
    return names[t];
}

/* A list of words with one space between any two, however many the driver put there. */
static void print_words(const char *list, int indent)
{
    char line[sizeof ((tern_device_info *)0)->extensions];
    size_t n = 0;
    for (const char *s = list + strspn(list, " "); *s; s += strspn(s, " ")) {
        size_t word = strcspn(s, " ");
        if (n)
            line[n++] = ' ';
        memcpy(line + n, s, word);
        n += word;
        s += word;
    }
    line[n] = 0;
    cli_print_folded(stdout, line, indent);
}

/* What only trying tells. */
struct found {
    tern_device_speed speed;
    tern_device_features features;
};

static void print_device(const tern_device_info *d, const struct found *found, const char *failure)
{
    char a[24], b[24], c[24];
    printf("%c %d  %s\n", d->chosen ? '*' : ' ', d->index, d->name);
    printf("     %s of %s, %s, driver %s\n", type_name(d->type), d->platform, d->version, d->driver);
    printf("     %u compute units", d->compute_units);
    if (d->clock_mhz)
        printf(" at %u MHz", d->clock_mhz);
    printf(", float vectors of %u, work-groups to %u\n", d->native_vector_f32, d->max_work_group);
    printf("     memory %s%s, single allocation to %s, local %s%s\n", cli_bytes((double)d->global_mem_bytes, a),
           d->unified_memory ? " shared with the host" : "", cli_bytes((double)d->max_alloc_bytes, b),
           cli_bytes((double)d->local_mem_bytes, c), d->local_mem_dedicated ? "" : " in global memory");
    printf("     fp16 arithmetic %s, fp64 %s, %s\n", d->fp16 ? "yes" : "no", d->fp64 ? "yes" : "no",
           d->compiler ? "builds kernels from source" : "has no kernel compiler");
    if (failure)
        printf("     not measured: %s\n", failure);
    else
        printf("     instructions for dot products of bytes %s, for tiles of fp16 matrices %s\n     measured %.1f GFLOPS and %.1f GB/s\n",
               found->features.dot8 ? "yes" : "no", found->features.matrix ? "yes" : "no", found->speed.gflops, found->speed.gbytes_per_s);
    printf("     %s\n", d->why);
    if (d->extensions[0]) {
        printf("     extensions: ");
        print_words(d->extensions, 17);
    }
}

/* Opens the index-th device, measures it and tries its instructions. */
static tern_status try_out(int index, struct found *found)
{
    char select[16];
    snprintf(select, sizeof select, "%d", index);
    tern_device_params p = {.select = select};
    tern_device *d = NULL;
    tern_status st = tern_device_open(&p, &d);
    if (st == TERN_OK)
        st = tern_device_measure(d, &found->speed);
    if (st == TERN_OK)
        st = tern_device_get_features(d, &found->features);
    tern_device_close(d);
    return st;
}

static void one_device(cli_json *j, const tern_device_info *info)
{
    struct found found = {0};
    const char *failure = try_out(info->index, &found) == TERN_OK ? NULL : tern_last_error();
    if (!j->to) {
        print_device(info, &found, failure);
        return;
    }
    json_object(j, NULL);
    json_device(j, "device", info);
    json_real(j, "gflops", failure ? 0.0 / 0.0 : found.speed.gflops);
    json_real(j, "gbytes_per_s", failure ? 0.0 / 0.0 : found.speed.gbytes_per_s);
    json_bool(j, "dot8", found.features.dot8);
    json_bool(j, "matrix", found.features.matrix);
    json_text(j, "not_measured", failure);
    json_close(j);
}

/* Marks what a selection opens instead of what an empty one would. */
static int mark_selected(const cli *c, const char *device, tern_device_info *infos, int n)
{
    tern_device *d = NULL;
    int code = cli_open_device(c, device, 0, &d);
    if (code != CLI_OK)
        return code;
    tern_device_info info;
    tern_device_get_info(d, &info);
    tern_device_close(d);
    for (int i = 0; i < n; i++) {
        bool selected = infos[i].index == info.index;
        if (selected && !infos[i].chosen)
            snprintf(infos[i].why, sizeof infos[i].why, "chosen: it was asked for");
        else if (!selected && infos[i].chosen)
            snprintf(infos[i].why, sizeof infos[i].why, "not chosen: another was asked for");
        infos[i].chosen = selected;
    }
    return CLI_OK;
}

static void print_all(bool json, const tern_device_info *infos, int n)
{
    cli_json j = {0};
    if (json) {
        json_begin(&j, stdout);
        json_array(&j, "devices");
    }
    for (int i = 0; i < n; i++)
        one_device(&j, &infos[i]);
    if (json) {
        json_close(&j);
        json_end(&j);
    }
}

int cli_devices(const cli *c, int argc, char **argv)
{
    bool json = false;
    const char *device = NULL;
    const cli_option options[] = {CLI_OPT_JSON(&json), CLI_OPT_DEVICE(&device), {0}};
    const cli_usage usage = {
        .command = "devices", .synopsis = "[options]", .options = options,
        .about = "Lists every device of every OpenCL platform: type, memory, limits, extensions, instructions beyond OpenCL's, speed of multiply-adds and "
                 "of copying, tried now (about a second each), and why it is or is not the chosen one, which a star marks.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    tern_device_info *infos = NULL;
    int n = 0;
    tern_status st = tern_device_list(&infos, &n);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    const char *wish = getenv("TERN_DEVICE");
    if (device || c->device || (wish && *wish))
        code = mark_selected(c, device, infos, n);
    if (code == CLI_OK)
        print_all(json, infos, n);
    tern_device_list_free(infos);
    return code;
}
