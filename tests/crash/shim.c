/* A library for LD_PRELOAD between a process and its disk: it records writes and syncs below a folder, and makes
 * chosen calls fail.
 *
 * SHIM_FOLDER   the folder to watch
 * SHIM_LOG      the file that writes, truncations, syncs and lines on standard output are recorded in, in sequence
 * SHIM_FORGET   syncs of files with this ending are not recorded (the control: a store that does not wait)
 * SHIM_FAIL     "call,number,count,errno": from the number-th call on, count calls fail
 *
 * A record: operation (1 byte), length of the name (1), length of the data (4), offset (8), name, data.
 * Operations: W write, T truncate (offset is the size), S sync, A a line on standard output. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The file's name below the watched folder; NULL for a file elsewhere, or one that is never read back. */
static const char *watched(int fd, char *path, size_t size) {
  const char *folder = getenv("SHIM_FOLDER");
  if (!folder) return NULL;

  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  if (strncmp(path, folder, strlen(folder)) != 0) return NULL;
  const char *name = strrchr(path, '/') + 1;
  if (strstr(name, "-shm") || strstr(name, ".lock") || !*name) return NULL;
  return name;
}

static void record(char operation, const char *name, uint64_t offset, const void *data, uint32_t length) {
  static int log = -2;
  if (log == -2) {
    const char *file = getenv("SHIM_LOG");
    log = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  }
  if (log < 0) return;

  uint8_t name_length = (uint8_t)strlen(name);
  char head[14];
  head[0] = operation;
  memcpy(head + 1, &name_length, 1);
  memcpy(head + 2, &length, 4);
  memcpy(head + 6, &offset, 8);
  syscall(SYS_write, log, head, sizeof head);
  syscall(SYS_write, log, name, name_length);
  if (length) syscall(SYS_write, log, data, length);
}

/* Returns 1 if this call must fail. The caller holds the lock. */
static int fails(const char *call) {
  static long calls;
  const char *plan = getenv("SHIM_FAIL");
  if (!plan) return 0;
  char which[32];
  long number, count;
  int error;
  if (sscanf(plan, "%31[^,],%ld,%ld,%d", which, &number, &count, &error) != 4) abort();

  if (strcmp(which, call) != 0) return 0;
  calls++;
  if (calls < number || calls >= number + count) return 0;
  errno = error;
  return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
  char path[4096];
  const char *name = watched(fd, path, sizeof path);
  if (!name) return syscall(SYS_pwrite64, fd, data, length, offset);

  pthread_mutex_lock(&lock);
  ssize_t done = fails("write") ? -1 : syscall(SYS_pwrite64, fd, data, length, offset);
  int error = errno;
  if (done > 0) record('W', name, (uint64_t)offset, data, (uint32_t)done);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off_t size) {
  char path[4096];
  const char *name = watched(fd, path, sizeof path);
  if (!name) return (int)syscall(SYS_ftruncate, fd, size);

  pthread_mutex_lock(&lock);
  int done = fails("truncate") ? -1 : (int)syscall(SYS_ftruncate, fd, size);
  int error = errno;
  if (done == 0) record('T', name, (uint64_t)size, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* A sync covers all writes before the call, so the lock excludes writes during it. */
static int synced(int fd, long call) {
  char path[4096];
  const char *name = watched(fd, path, sizeof path);
  if (!name) return (int)syscall(call, fd);
  const char *forget = getenv("SHIM_FORGET");
  size_t name_length = strlen(name), ending = forget ? strlen(forget) : 0;
  int forgotten = forget && name_length >= ending && strcmp(name + name_length - ending, forget) == 0;

  pthread_mutex_lock(&lock);
  int done = fails("sync") ? -1 : (int)syscall(call, fd);
  int error = errno;
  if (done == 0 && !forgotten) record('S', name, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int fsync(int fd) { return synced(fd, SYS_fsync); }

ssize_t write(int fd, const void *data, size_t length) {
  if (fd != STDOUT_FILENO || !getenv("SHIM_LOG")) return syscall(SYS_write, fd, data, length);
  pthread_mutex_lock(&lock);
  record('A', "", 0, data, (uint32_t)length);
  pthread_mutex_unlock(&lock);
  return syscall(SYS_write, fd, data, length);
}
