/* tern cache: how much the cache of built kernels holds, and emptying it. */
#include "cli.h"

static void print_cache(bool json, const tern_cache_info *info, bool cleared, int64_t removed)
{
    char size[24];
    if (json) {
        cli_json j;
        json_begin(&j, stdout);
        json_text(&j, "dir", info->dir);
        json_int(&j, "entries", info->n_entries);
        json_int(&j, "size_bytes", info->size_bytes);
        if (cleared)
            json_int(&j, "removed", removed);
        json_end(&j);
        return;
    }
    if (cleared)
        printf("%lld entries removed from %s\n", (long long)removed, info->dir);
    else
        printf("%s: %lld entries, %s\n", info->dir, (long long)info->n_entries, cli_bytes((double)info->size_bytes, size));
}

int cli_cache(const cli *c, int argc, char **argv)
{
    bool json = false, clear = false;
    const cli_option options[] = {
        {"clear", CLI_FLAG, &clear, NULL, "Remove every entry.", 0, 0},
        CLI_OPT_JSON(&json),
        {0},
    };
    const cli_usage usage = {
        .command = "cache", .synopsis = "[--clear] [options]", .options = options,
        .about = "Shows where built kernels are kept and how much is there. The place is $TERN_CACHE_DIR, else $XDG_CACHE_HOME/tern, "
                 "else ~/.cache/tern. Clearing is always safe: kernels are built again when they are next needed.",
    };
    int code;
    (void)c;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    int64_t removed = 0;
    tern_cache_info info;
    tern_status st = clear ? tern_cache_clear(NULL, &removed) : TERN_OK;
    if (st == TERN_OK)
        st = tern_cache_get_info(NULL, &info);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    print_cache(json, &info, clear, removed);
    return CLI_OK;
}
