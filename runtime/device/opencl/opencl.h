/* The OpenCL back end as the front end sees it: finding devices, opening one. */
#ifndef TERN_DEVICE_OPENCL_OPENCL_H
#define TERN_DEVICE_OPENCL_OPENCL_H

#include "device/device.h"

/* Every usable device of every platform; devices[i] is the cl_device_id of infos[i]. At least one on success. */
typedef struct tern__cl_list {
    tern_device_info *infos;
    void **devices;
    int n, cap;
} tern__cl_list;
tern_status tern__cl_enumerate(tern__cl_list *out);
void tern__cl_list_finish(tern__cl_list *l);

/* Makes a context and an in-order queue; d->info is filled in already. On failure destroy still works. */
tern_status tern__cl_open(tern_device *d, void *device, bool profile);

#endif
