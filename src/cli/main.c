/* The tern command: finds the subcommand and hands over. */
#include "cli.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *summary;
    int (*run)(const cli *c, int argc, char **argv);
} commands[] = {
    {"devices", "List and measure the OpenCL devices, and say which one is chosen.", cli_devices},
    {"demo", "Train a network on Fashion-MNIST, save it, run it again, write a report.", cli_demo},
    {"train", "Train a named network on a data set and save it.", cli_train},
    {"eval", "Test a saved model on a data set.", cli_eval},
    {"run", "Run a saved model on arrays, photographs or random numbers, and time it.", cli_run},
    {"info", "Describe a model: inputs, outputs, operators, size, what Tern lacks for it.", cli_info},
    {"convert", "Turn an ONNX model into a .tern file, and back.", cli_convert},
    {"test", "Run test cases in ONNX's layout: a model, inputs and what should come out.", cli_test},
    {"plan", "Show how a saved model would run: kernels, bytes moved, memory.", cli_plan},
    {"bench", "Time operations and models against the device's own peaks; compare devices.", cli_bench},
    {"tune", "Search for faster kernels for a model or an operation on this device.", cli_tune},
    {"certify", "Check every op on this device and driver against the scalar reference.", cli_certify},
    {"cache", "Show or clear the cache of built kernels.", cli_cache},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to)
{
    fprintf(to, "Tern %s: runs and trains neural networks on any OpenCL device.\n\n"
                "Usage: tern [--device DEVICE] COMMAND [options]\n\nCommands:\n", tern_version());
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\nOptions:\n"
          "  --device DEVICE  An index of `tern devices`, a type (cpu, gpu, accelerator, null)\n"
          "                   or part of a name. Also accepted after COMMAND.\n"
          "  --version        Show the version.\n"
          "  --help           Show this text; `tern COMMAND --help` shows a command's.\n"
          "\nEnvironment:\n"
          "  TERN_DEVICE       The device when there is no --device.\n"
          "  TERN_CACHE_DIR    Where built kernels are kept (default ~/.cache/tern).\n"
          "  TERN_KERNEL_PATH  A folder whose files replace the built-in kernel sources.\n"
          "  TERN_TUNED        0: what `tern tune` measured is not used.\n"
          "  TERN_POOL         0: no device memory is used twice, for tools that watch it.\n"
          "\nExit codes:\n"
          "  0  all is well\n"
          "  1  it failed: a bad or unwritable file, a device error, a result that differs\n"
          "  2  wrong usage: an unknown command, option or name, or a value out of range\n"
          "  3  no device, or none that fits the selection\n"
          "\nErrors are one sentence on standard error. With --json, standard output is one\n"
          "JSON document.\n", to);
}

static int dispatch(const cli *c, int argc, char **argv)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (!strcmp(argv[0], commands[i].name))
            return commands[i].run(c, argc - 1, argv + 1);
    return cli_error(CLI_USAGE, "unknown command \"%s\"; see tern --help", argv[0]);
}

/* Options before the command; then the command. */
static int run(int argc, char **argv)
{
    cli c = {.program = argc > 0 ? argv[0] : "tern"};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") || !strcmp(argv[i], "help")) {
            if (i + 1 < argc && !strcmp(argv[i], "help") && argv[i + 1][0] != '-')
                return dispatch(&c, 2, (char *[]){argv[i + 1], "--help", NULL});
            print_help(stdout);
            return CLI_OK;
        }
        if (!strcmp(argv[i], "--version")) {
            printf("tern %s\n", tern_version());
            return CLI_OK;
        }
        if (!strcmp(argv[i], "--device")) {
            if (i + 1 == argc)
                return cli_error(CLI_USAGE, "--device needs a value (DEVICE); see tern --help");
            c.device = argv[++i];
        } else if (!strncmp(argv[i], "--device=", 9)) {
            c.device = argv[i] + 9;
        } else if (argv[i][0] == '-') {
            return cli_error(CLI_USAGE, "unknown option \"%s\"; see tern --help", argv[i]);
        } else {
            return dispatch(&c, argc - i, argv + i);
        }
    }
    print_help(stderr);
    return CLI_USAGE;
}

/* Keeps the worker threads of an OpenCL runtime on the CPU each on a core of its own, where the process may use every core: two
 * that the kernel puts on one core halve the speed. A variable that is set already stays as it is. */
static void spread_workers(void)
{
#ifdef __linux__
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0 && CPU_COUNT(&mine) == sysconf(_SC_NPROCESSORS_ONLN))
        (void)!setenv("POCL_AFFINITY", "1", 0);
#endif
}

int main(int argc, char **argv)
{
    spread_workers();
    int code = run(argc, argv);
    /* A full disk or a closed pipe behind stdout must not look like success. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_OK)
        code = cli_error(CLI_FAILED, "standard output could not be written");
    return code;
}
