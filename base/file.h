/* Whole files and trees. Paths are borrowed; every error names the path. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's bytes to out. ERR_LIMIT when there are more than max_bytes. Reads files of unknown size (/proc) too. */
int file_read (const char *path, size_t max_bytes, struct buf *out, struct err *err);
int file_read_at (int dir_fd, const char *name, size_t max_bytes, struct buf *out, struct err *err);

/* Writes beside, syncs, renames over path and syncs the directory: after a crash the old or the new is there, whole. */
int file_write_atomic (const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* One write(2) to an existing file (cgroup and sysctl files). */
int file_write_existing (const char *path, const char *text, struct err *err);

int file_mkdirs (const char *path, mode_t mode, struct err *err); /* mkdir -p; existing directories are fine */
bool file_exists (const char *path);                              /* follows links; false also when it cannot be told */

/* rm -rf: never follows a symbolic link, never touches a mount point, bind mounts included (ERR_BUSY names it).
   A path that does not exist is removed already. */
int file_remove_tree (const char *path, struct err *err);

/* Names in a directory but . and .., sorted by bytes, as a NULL-terminated list in one allocation: free (*ret).
   ERR_LIMIT above max_count. */
int file_list (const char *path, size_t max_count, char ***ret, size_t *ret_count, struct err *err);

#endif
