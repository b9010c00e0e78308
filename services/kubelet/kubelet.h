/* The kubelet as a whole: its configuration, its pods, and what its parts share. Loop thread only. */
#ifndef KUBELET_KUBELET_H
#define KUBELET_KUBELET_H

#include "services/common/informer.h"
#include "services/common/service.h"
#include "services/kubelet/pod.h"

struct kubelet_config {
  const char *node_name, *node_ip, *pod_cidr, *bridge, *cni_bin, *log_dir, *listen, *cluster_domain, *node_labels;
  struct service_list cluster_dns;
  int64_t max_pods, port, mtu;
  /* of the HTTPS server */
  const char *address, *cert_file, *key_file, *client_ca_file;
};

struct node;
struct kubelet_server;
struct kubelet {
  struct service_context *ctx;
  const struct kubelet_config *config;
  char *dir, *log_dir;  /* absolute */
  struct image_store *images;
  struct runtime *runtime;
  struct pod_host host;
  struct node_facts facts;
  char node_name[256], host_ip[2][INET6_ADDRSTRLEN];
  struct map *pods;     /* uid -> struct pod */
  struct informer *informer;
  struct loop_timer *refresh;
  struct node *node;
  struct bus_server *bus_server;
  struct value *kubernetes_service; /* default/kubernetes as last seen, in service_arena */
  struct arena service_arena;
  mono_t service_time;
  /* what was found on the node at the start, for pods that the API is yet to name */
  struct arena found_arena;
  struct container_record *found;
  size_t n_found;
  unsigned calls; /* to the API, under way: they end, with ERR_CLOSED, only after the kubelet is closed */
  bool closed;
};

/* By namespace and name; NULL. The HTTPS server's way in, with pod.h's pod_container and runtime.h's exec and attach paths. */
struct pod *kubelet_find (struct kubelet *k, const char *namespace_, const char *name);
/* Every pod: for (size_t it = 0; (p = kubelet_next (k, &it));). Not while pods are added or removed. */
struct pod *kubelet_next (struct kubelet *k, size_t *it);

void kubelet_release (struct kubelet *k); /* frees a closed kubelet without calls */

/* kubelet_api.c: the pods' view of the API */
void kubelet_api_init (struct kubelet *k);
void kubelet_event_about_node (struct kubelet *k, const char *type, const char *reason, const char *message);

/* kubelet_images.c: the bus endpoint image.import {path}, image.list, image.remove {ref}; for system:masters only */
int kubelet_images_serve (struct kubelet *k, struct err *err);

/* ---- node.c ---- */
/* Registers the node and keeps its status and lease fresh. */
struct node *node_new (struct kubelet *k, struct err *err);
void node_free (struct node *n); /* NULL allowed */
/* Facts that need no API: addresses, capacity. Fills k->facts and k->host_ip. */
int node_read_facts (struct kubelet *k, struct err *err);

#endif
