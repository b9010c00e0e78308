/* The frame's hooks of kubus-kubelet (main.c). */
#ifndef KUBELET_KUBELET_SERVICE_H
#define KUBELET_KUBELET_SERVICE_H

#include "services/common/service.h"

void *kubelet_open (struct service_context *ctx, struct err *err);
void kubelet_close (void *self);

#endif
