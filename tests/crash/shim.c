/* Stands between a process and its disk, by LD_PRELOAD: records what it writes and syncs below a folder, and
 * makes chosen calls fail. For tests of what survives.
 *
 * SHIM_FOLDER   what is watched
 * SHIM_LOG      where writes, truncations, syncs and lines on standard output are recorded, in one sequence
 * SHIM_FORGET   syncs of files with this ending are not recorded (the control: a store that does not wait)
 * SHIM_FAIL     "call,number,count,errno": from the number-th call on, so many fail
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

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* The file's name below the watched folder; none for what is not watched or is never read back. */
static const char *watched(int fd, char *room, size_t size) {
  const char *folder = getenv("SHIM_FOLDER");
  if (!folder) return NULL;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, room, size - 1);
  if (length <= 0) return NULL;
  room[length] = 0;
  if (strncmp(room, folder, strlen(folder)) != 0) return NULL;
  const char *name = strrchr(room, '/') + 1;
  if (strstr(name, "-shm") || strstr(name, ".lock") || !*name) return NULL;
  return name;
}

static void record(char operation, const char *name, uint64_t offset, const void *data, uint32_t length) {
  static int log = -2;
  if (log == -2) {
    const char *path = getenv("SHIM_LOG");
    log = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  }
  if (log < 0) return;
  uint8_t names = (uint8_t)strlen(name);
  char head[14];
  head[0] = operation;
  memcpy(head + 1, &names, 1);
  memcpy(head + 2, &length, 4);
  memcpy(head + 6, &offset, 8);
  syscall(SYS_write, log, head, sizeof head);
  syscall(SYS_write, log, name, names);
  if (length) syscall(SYS_write, log, data, length);
}

/* Whether this call is one of those that fail. Called in turn. */
static int fails(const char *call) {
  static long seen;
  const char *plan = getenv("SHIM_FAIL");
  if (!plan) return 0;
  char which[32];
  long number, count;
  int error;
  if (sscanf(plan, "%31[^,],%ld,%ld,%d", which, &number, &count, &error) != 4) abort();
  if (strcmp(which, call) != 0) return 0;
  seen++;
  if (seen < number || seen >= number + count) return 0;
  errno = error;
  return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
  char room[4096];
  const char *name = watched(fd, room, sizeof room);
  if (!name) return syscall(SYS_pwrite64, fd, data, length, offset);
  pthread_mutex_lock(&turn);
  ssize_t done = fails("write") ? -1 : syscall(SYS_pwrite64, fd, data, length, offset);
  int error = errno;
  if (done > 0) record('W', name, (uint64_t)offset, data, (uint32_t)done);
  pthread_mutex_unlock(&turn);
  errno = error;
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off_t size) {
  char room[4096];
  const char *name = watched(fd, room, sizeof room);
  if (!name) return (int)syscall(SYS_ftruncate, fd, size);
  pthread_mutex_lock(&turn);
  int done = fails("truncate") ? -1 : (int)syscall(SYS_ftruncate, fd, size);
  int error = errno;
  if (done == 0) record('T', name, (uint64_t)size, NULL, 0);
  pthread_mutex_unlock(&turn);
  errno = error;
  return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* What comes on the disk is all that was written before the call, so nobody writes meanwhile. */
static int synced(int fd, long call) {
  char room[4096];
  const char *name = watched(fd, room, sizeof room);
  if (!name) return (int)syscall(call, fd);
  const char *forget = getenv("SHIM_FORGET");
  size_t names = strlen(name), ending = forget ? strlen(forget) : 0;
  int forgotten = forget && names >= ending && strcmp(name + names - ending, forget) == 0;
  pthread_mutex_lock(&turn);
  int done = fails("sync") ? -1 : (int)syscall(call, fd);
  int error = errno;
  if (done == 0 && !forgotten) record('S', name, 0, NULL, 0);
  pthread_mutex_unlock(&turn);
  errno = error;
  return done;
}

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int fsync(int fd) { return synced(fd, SYS_fsync); }

ssize_t write(int fd, const void *data, size_t length) {
  if (fd != STDOUT_FILENO || !getenv("SHIM_LOG")) return syscall(SYS_write, fd, data, length);
  pthread_mutex_lock(&turn);
  record('A', "", 0, data, (uint32_t)length);
  pthread_mutex_unlock(&turn);
  return syscall(SYS_write, fd, data, length);
}
