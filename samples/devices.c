/* Lists the OpenCL devices of this machine and opens the one that Tern would choose.
 * Shows: listing, choosing, and that every failure comes with a sentence. */
#include <stdio.h>
#include <tern/device.h>

int main(void)
{
    tern_device_info *infos;
    int n;
    if (tern_device_list(&infos, &n) != TERN_OK) {
        fprintf(stderr, "%s\n", tern_last_error());
        return 1;
    }
    for (int i = 0; i < n; i++)
        printf("%d  %-40s  %5.1f GB, %u compute units, vectors of %u floats\n   %s\n", infos[i].index, infos[i].name,
               (double)infos[i].global_mem_bytes * 1e-9, infos[i].compute_units, infos[i].native_vector_f32, infos[i].why);
    tern_device_list_free(infos);

    /* NULL parameters: what $TERN_DEVICE says, else the best there is. */
    tern_device *device;
    if (tern_device_open(NULL, &device) != TERN_OK) {
        fprintf(stderr, "%s\n", tern_last_error());
        return 1;
    }
    tern_device_info chosen;
    tern_device_get_info(device, &chosen);
    printf("opened: %s\n", chosen.name);
    tern_device_close(device);

    /* A selection that fits nothing says what there is instead. */
    if (tern_device_open(&(tern_device_params){.select = "abacus"}, &device) != TERN_OK)
        printf("and \"abacus\" is refused with: %s\n", tern_last_error());
    return 0;
}
