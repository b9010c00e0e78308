/* The version that every program, node and API document gives: the Kubernetes level served, and whose it is. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define KUBUS_VERSION "v1.33.0+kubus"

#endif
