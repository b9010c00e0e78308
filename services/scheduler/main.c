/* kubus-scheduler: gives pods their nodes. */
#include "services/scheduler/scheduler_io.h"

static const struct service_option options[] = {
  { "scheduler-name", SERVICE_STRING, offsetof (struct scheduler_config, scheduler_name), "default-scheduler", 0, 0, "place the pods whose spec.schedulerName is this" },
  { "max-binding", SERVICE_INT, offsetof (struct scheduler_config, max_binding), "256", 1, 4096, "bindings under way at most" },
  { NULL, SERVICE_STRING, 0, NULL, 0, 0, NULL },
};

static void *
open_ (struct service_context *ctx, struct err *err)
{
  return scheduler_open (ctx, err);
}

static void
close_ (void *self)
{
  scheduler_close (self);
}

int
main (int argc, char **argv)
{
  static const struct service service = { .name = "kubus-scheduler",
                                          .default_identity = "scheduler",
                                          .help = "Gives pods their nodes.",
                                          .options = options,
                                          .config_size = sizeof (struct scheduler_config),
                                          .want_bus = true,
                                          .want_source = true,
                                          .want_api = true,
                                          .open = open_,
                                          .close = close_ };
  return service_main (argc, argv, &service);
}
