// Tells, in a trace, what a process does to the files of one folder, in the order in which it does it.
//
// It is preloaded. The folder is empty when the process starts, and stands in HEIRLOOM_TRACE_FOLDER without links in it;
// the trace stands in HEIRLOOM_TRACE. A record of it is a `struct head` and as many bytes as that says; trace.rs reads it.
// The shared memory beside an SQLite file is left out: it does not outlive a loss of power, nor need it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
  uint32_t kind, file;
  uint64_t at, length;
};

enum { FOLDER = 1, DESCRIPTORS = 1 << 16, FILES = 64, LONGEST = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *folder;
static int trace = -1;
static uint32_t next_file = FOLDER + 1;
static uint64_t syncs;
// Which file is open as what, and which name is that of what file.
static uint32_t open_as[DESCRIPTORS];
static struct { char name[256]; uint32_t file; } names[FILES];

// The next definition of a function, which is that of the C library.
#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
  pthread_once(&once, start)

static void start(void) {
  const char *path = getenv("HEIRLOOM_TRACE");
  int (*opens)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  folder = getenv("HEIRLOOM_TRACE_FOLDER");
  if (path && folder) trace = opens(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// The lock is held.
static void record(char kind, uint32_t file, uint64_t at, const void *bytes, uint64_t length) {
  static ssize_t (*writes)(int, const struct iovec *, int);
  if (!writes) writes = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  int error = errno;
  struct head head = {(uint32_t)kind, file, at, length};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)bytes, length}};
  // A trace that is not whole is worth nothing.
  if (writes(trace, parts, 2) != (ssize_t)(sizeof head + length)) abort();
  errno = error;
}

static uint32_t file_of(int descriptor) {
  return trace >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS ? open_as[descriptor] : 0;
}

static uint32_t file_named(const char *name, int makes) {
  size_t length = strlen(name);
  if (length >= 4 && !strcmp(name + length - 4, "-shm")) return 0;
  int found = -1;
  for (int i = 0; i < FILES; i++) {
    if (names[i].file && !strcmp(names[i].name, name)) return names[i].file;
    if (!names[i].file) found = i;
  }
  if (!makes) return 0;
  if (found < 0 || length >= sizeof names[0].name) abort();
  strcpy(names[found].name, name);
  names[found].file = next_file++;
  record('c', names[found].file, 0, name, length);
  return names[found].file;
}

// What stands open here of the folder: the name inside it, which is empty for the folder itself.
static const char *name_of(int descriptor, char path[LONGEST]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, LONGEST - 1);
  if (length < 0) return NULL;
  path[length] = 0;
  size_t prefix = strlen(folder);
  if (strncmp(path, folder, prefix)) return NULL;
  if (!path[prefix]) return path + prefix;
  return path[prefix] == '/' && !strchr(path + prefix + 1, '/') ? path + prefix + 1 : NULL;
}

// The lock is held.
static void opened(int descriptor, int flags) {
  char path[LONGEST];
  int error = errno;
  if (trace >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS) {
    const char *name = flags & O_PATH ? NULL : name_of(descriptor, path);
    open_as[descriptor] = !name ? 0 : *name ? file_named(name, 1) : FOLDER;
    if (name && *name && flags & O_TRUNC) record('t', open_as[descriptor], 0, NULL, 0);
  }
  errno = error;
}

#define OPEN(name, parameters, ...) \
  int name parameters { \
    REAL(name); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
      va_list rest; \
      va_start(rest, flags); \
      mode = va_arg(rest, mode_t); \
      va_end(rest); \
    } \
    pthread_mutex_lock(&lock); \
    int descriptor = real(__VA_ARGS__, flags, mode); \
    opened(descriptor, flags); \
    pthread_mutex_unlock(&lock); \
    return descriptor; \
  }
OPEN(open, (const char *path, int flags, ...), path)
OPEN(open64, (const char *path, int flags, ...), path)
OPEN(openat, (int at, const char *path, int flags, ...), at, path)
OPEN(openat64, (int at, const char *path, int flags, ...), at, path)

// What a program calls that was compiled with checks.
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int at, const char *path, int flags) { return openat(at, path, flags); }
int __openat64_2(int at, const char *path, int flags) { return openat64(at, path, flags); }

int close(int descriptor) {
  REAL(close);
  pthread_mutex_lock(&lock);
  if (file_of(descriptor)) open_as[descriptor] = 0;
  pthread_mutex_unlock(&lock);
  return real(descriptor);
}

// A write is told as it was carried out, with the bytes that came.
#define WRITE(name, parameters, offset, bytes, ...) \
  ssize_t name parameters { \
    REAL(name); \
    uint32_t file = file_of(descriptor); \
    if (!file) return real(__VA_ARGS__); \
    pthread_mutex_lock(&lock); \
    ssize_t written = real(__VA_ARGS__); \
    if (written > 0) { \
      int64_t from = (offset) >= 0 ? (offset) : (int64_t)lseek64(descriptor, 0, SEEK_CUR) - written; \
      wrote(file, from, bytes, written); \
    } \
    pthread_mutex_unlock(&lock); \
    return written; \
  }
static void wrote(uint32_t file, int64_t from, const struct iovec *parts, ssize_t left) {
  for (; left > 0; parts++) {
    ssize_t length = (ssize_t)parts->iov_len < left ? (ssize_t)parts->iov_len : left;
    record('w', file, from, parts->iov_base, length);
    from += length;
    left -= length;
  }
}
#define ONE (&(struct iovec){(void *)bytes, length})
WRITE(write, (int descriptor, const void *bytes, size_t length), -1, ONE, descriptor, bytes, length)
WRITE(pwrite, (int descriptor, const void *bytes, size_t length, off_t at), at, ONE, descriptor, bytes, length, at)
WRITE(pwrite64, (int descriptor, const void *bytes, size_t length, off64_t at), at, ONE, descriptor, bytes, length, at)
WRITE(writev, (int descriptor, const struct iovec *parts, int count), -1, parts, descriptor, parts, count)
WRITE(pwritev, (int descriptor, const struct iovec *parts, int count, off_t at), at, parts, descriptor, parts, count, at)
WRITE(pwritev64, (int descriptor, const struct iovec *parts, int count, off64_t at), at, parts, descriptor, parts, count,
      at)

// A file gets this length, or at least this length.
#define LENGTH(name, parameters, kind, applies, to, ...) \
  int name parameters { \
    REAL(name); \
    pthread_mutex_lock(&lock); \
    int failed = real(__VA_ARGS__); \
    if (!failed && (applies) && file_of(descriptor)) record(kind, file_of(descriptor), to, NULL, 0); \
    pthread_mutex_unlock(&lock); \
    return failed; \
  }
LENGTH(ftruncate, (int descriptor, off_t to), 't', 1, to, descriptor, to)
LENGTH(ftruncate64, (int descriptor, off64_t to), 't', 1, to, descriptor, to)
LENGTH(fallocate, (int descriptor, int mode, off_t at, off_t by), mode ? '?' : 'a', mode != FALLOC_FL_KEEP_SIZE, at + by,
       descriptor, mode, at, by)
LENGTH(fallocate64, (int descriptor, int mode, off64_t at, off64_t by), mode ? '?' : 'a', mode != FALLOC_FL_KEEP_SIZE,
       at + by, descriptor, mode, at, by)
LENGTH(posix_fallocate, (int descriptor, off_t at, off_t by), 'a', 1, at + by, descriptor, at, by)
LENGTH(posix_fallocate64, (int descriptor, off64_t at, off64_t by), 'a', 1, at + by, descriptor, at, by)

// What was written before a sync began is on the medium once it ended: others write meanwhile.
static int synced(int (*real)(int), int descriptor) {
  uint32_t file = file_of(descriptor);
  if (!file) return real(descriptor);
  pthread_mutex_lock(&lock);
  uint64_t number = ++syncs;
  record('b', file, number, NULL, 0);
  pthread_mutex_unlock(&lock);
  int failed = real(descriptor);
  pthread_mutex_lock(&lock);
  if (!failed) record('e', file, number, NULL, 0);
  pthread_mutex_unlock(&lock);
  return failed;
}
int fsync(int descriptor) { REAL(fsync); return synced(real, descriptor); }
int fdatasync(int descriptor) { REAL(fdatasync); return synced(real, descriptor); }

// A name that goes.
#define UNLINK(name, parameters, directory, at_flags, ...) \
  int name parameters { \
    REAL(name); \
    char held[LONGEST]; \
    const char *inside = NULL; \
    pthread_mutex_lock(&lock); \
    int (*opens)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat"); \
    int (*closes)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close"); \
    int found = trace >= 0 ? opens(directory, path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1; \
    if (found >= 0) { \
      inside = name_of(found, held); \
      closes(found); \
    } \
    int failed = real(__VA_ARGS__); \
    if (!failed && inside && *inside) gone(inside); \
    pthread_mutex_unlock(&lock); \
    return failed; \
  }
static void gone(const char *name) {
  uint32_t file = file_named(name, 0);
  if (!file) return;
  for (int i = 0; i < FILES; i++)
    if (names[i].file == file) names[i].file = 0;
  record('u', file, 0, name, strlen(name));
}
UNLINK(unlink, (const char *path), AT_FDCWD, 0, path)
UNLINK(unlinkat, (int at, const char *path, int flags), at, flags, at, path, flags)

// Nothing of a store is renamed, and nothing of its files is written through memory: that would have to be told here.
#define NEVER(name, result, parameters, applies, file, ...) \
  result name parameters { \
    REAL(name); \
    result got = real(__VA_ARGS__); \
    if (trace >= 0 && (applies)) { \
      pthread_mutex_lock(&lock); \
      record('?', file, 0, #name, strlen(#name)); \
      pthread_mutex_unlock(&lock); \
    } \
    return got; \
  }
NEVER(rename, int, (const char *from, const char *to), !strncmp(to, folder, strlen(folder)), 0, from, to)
NEVER(mmap, void *, (void *at, size_t length, int access, int flags, int descriptor, off_t from),
      access & PROT_WRITE && flags & MAP_SHARED && file_of(descriptor), file_of(descriptor), at, length, access, flags,
      descriptor, from)
NEVER(mmap64, void *, (void *at, size_t length, int access, int flags, int descriptor, off64_t from),
      access & PROT_WRITE && flags & MAP_SHARED && file_of(descriptor), file_of(descriptor), at, length, access, flags,
      descriptor, from)
