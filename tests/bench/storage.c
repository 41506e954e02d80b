/* A storage of a stated speed, whatever machine it is measured on: a file system through FUSE.

     storage FOLDER MOUNTPOINT SEEK RATE COUNTS

   Each file of FOLDER is served under its name. A file NAME.SIZE is served as NAME, SIZE bytes long: what lies
   behind its first 2,880 bytes is repeated. Requests are served in turn. Each takes SEEK microseconds, unless it
   goes on where the last one ended, and a second for RATE MB. COUNTS gets two numbers: bytes and pieces served. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 2880, MOST_FILES = 64, QUEUE = 4096, MOST_PARTS = 16, LONGEST_READ = 1 << 20 };
static const uint64_t FOR_EVER = 1000000;

struct file {
    char name[256];
    const char *stored;
    uint64_t stored_size, size;
};
struct piece {
    uint64_t unique, file, offset, size;
    double due;
};

static struct file files[MOST_FILES];
static int file_count;
static struct piece queue[QUEUE];
static unsigned first, last;
static double seek_seconds, bytes_a_second, busy_until;
static uint64_t head_file, head_offset, *counts;
static int device;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void *stop_if(int failed, void *value, const char *what)
{
    if (failed) {
        perror(what);
        exit(1);
    }
    return value;
}

static void load_files(const char *folder)
{
    DIR *entries = opendir(folder);
    stop_if(!entries, 0, folder);
    for (struct dirent *entry; (entry = readdir(entries)) && file_count < MOST_FILES;) {
        if (entry->d_name[0] == '.')
            continue;
        struct file *file = &files[file_count++];
        struct stat status;
        int opened = openat(dirfd(entries), entry->d_name, O_RDONLY);
        stop_if(opened < 0 || fstat(opened, &status), 0, entry->d_name);
        file->stored_size = file->size = status.st_size;
        int flags = MAP_PRIVATE | MAP_POPULATE;
        void *content = mmap(0, status.st_size, PROT_READ, flags, opened, 0);
        file->stored = stop_if(content == MAP_FAILED, content, entry->d_name);
        strcpy(file->name, entry->d_name);
        char *ending = strrchr(file->name, '.'), *rest;
        uint64_t size = ending ? strtoull(ending + 1, &rest, 10) : 0;
        if (size && !*rest) {
            *ending = 0;
            file->size = size;
        }
    }
    closedir(entries);
}

static void answer_parts(uint64_t unique, int error, struct iovec *parts, int count)
{
    struct fuse_out_header header = {.len = sizeof header, .error = -error, .unique = unique};
    for (int k = 1; k < count; k++)
        header.len += parts[k].iov_len;
    parts[0] = (struct iovec){&header, sizeof header};
    /* Who asked may be gone: then nobody waits for the answer. */
    if (writev(device, parts, count) < 0 && errno != ENOENT)
        perror("answer");
}

static void answer(uint64_t unique, int error, const void *body, size_t size)
{
    struct iovec parts[2] = {{0}, {(void *)body, size}};
    answer_parts(unique, error, parts, size ? 2 : 1);
}

static void answer_piece(const struct piece *piece)
{
    const struct file *file = &files[piece->file];
    struct iovec parts[MOST_PARTS + 1];
    int count = 1;
    uint64_t at = piece->offset, left = piece->size;
    while (left && count <= MOST_PARTS) {
        uint64_t block = file->stored_size - HEADER;
        uint64_t inside = at < file->stored_size ? at : HEADER + (at - HEADER) % block;
        uint64_t size = file->stored_size - inside < left ? file->stored_size - inside : left;
        parts[count++] = (struct iovec){(void *)(file->stored + inside), size};
        at += size;
        left -= size;
    }
    answer_parts(piece->unique, 0, parts, count);
}

/* The storage has one head; what is asked waits until it has come to it. */
static void take_piece(const struct fuse_in_header *in, const struct fuse_read_in *read_in)
{
    struct piece *piece = &queue[last++ % QUEUE];
    uint64_t number = in->nodeid - 2, size = files[number].size;
    uint64_t left = read_in->offset < size ? size - read_in->offset : 0;
    *piece = (struct piece){in->unique, number, read_in->offset, read_in->size < left ? read_in->size : left, 0};
    int goes_on = number == head_file && piece->offset == head_offset;
    double time = now(), start = busy_until > time ? busy_until : time;
    busy_until = piece->due = start + (goes_on ? 0 : seek_seconds) + piece->size / bytes_a_second;
    head_file = number;
    head_offset = piece->offset + piece->size;
    counts[0] += piece->size;
    counts[1] += !goes_on;
}

static struct fuse_attr attributes(uint64_t node)
{
    struct fuse_attr attr = {.ino = node, .nlink = 1, .mode = S_IFDIR | 0555, .blksize = 4096};
    if (node > 1) {
        attr.mode = S_IFREG | 0444;
        attr.size = files[node - 2].size;
        attr.blocks = attr.size / 512;
    }
    return attr;
}

static void answer_lookup(const struct fuse_in_header *in, const char *name)
{
    struct fuse_entry_out out = {.entry_valid = FOR_EVER, .attr_valid = FOR_EVER};
    for (int k = 0; k < file_count; k++)
        if (!strcmp(files[k].name, name)) {
            out.nodeid = k + 2;
            out.attr = attributes(out.nodeid);
            answer(in->unique, 0, &out, sizeof out);
            return;
        }
    answer(in->unique, ENOENT, 0, 0);
}

static void answer_folder(const struct fuse_in_header *in, const struct fuse_read_in *read_in)
{
    static char body[65536];
    size_t size = 0;
    for (int k = read_in->offset; k < file_count; k++) {
        size_t length = strlen(files[k].name);
        struct fuse_dirent entry = {.ino = k + 2, .off = k + 1, .namelen = length, .type = 8};
        size_t room = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
        if (size + room > read_in->size || size + room > sizeof body)
            break;
        memset(body + size, 0, room);
        memcpy(body + size, &entry, FUSE_NAME_OFFSET);
        memcpy(body + size + FUSE_NAME_OFFSET, files[k].name, length);
        size += room;
    }
    answer(in->unique, 0, body, size);
}

static void answer_request(const struct fuse_in_header *in)
{
    const void *body = in + 1;
    struct fuse_open_out opened = {.open_flags = FOPEN_KEEP_CACHE};
    struct fuse_attr_out known = {.attr_valid = FOR_EVER};
    struct fuse_init_out greeting = {.major = 7, .minor = 31, .max_readahead = 1 << 17};
    struct fuse_statfs_out space = {.st = {.bsize = 4096, .namelen = 255}};
    switch (in->opcode) {
    case FUSE_INIT:
        greeting.flags = FUSE_ASYNC_READ | FUSE_MAX_PAGES;
        greeting.max_background = greeting.congestion_threshold = 1024;
        greeting.max_write = 4096;
        greeting.max_pages = LONGEST_READ / 4096;
        greeting.time_gran = 1;
        return answer(in->unique, 0, &greeting, sizeof greeting);
    case FUSE_LOOKUP:
        return answer_lookup(in, body);
    case FUSE_GETATTR:
        known.attr = attributes(in->nodeid);
        return answer(in->unique, 0, &known, sizeof known);
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        return answer(in->unique, 0, &opened, sizeof opened);
    case FUSE_READ:
        return take_piece(in, body);
    case FUSE_READDIR:
        return answer_folder(in, body);
    case FUSE_STATFS:
        return answer(in->unique, 0, &space, sizeof space);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH:
        return answer(in->unique, 0, 0, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return;
    default:
        answer(in->unique, ENOSYS, 0, 0);
    }
}

/* Microseconds of waiting are slept, not spun: two cores are all that may be there. */
static void wait_for_request(void)
{
    struct timespec pause = {3600, 0};
    if (first != last) {
        double left = queue[first % QUEUE].due - now();
        pause.tv_sec = 0;
        pause.tv_nsec = left > 0 ? (long)(1e9 * (left < 0.9 ? left : 0.9)) : 0;
    }
    struct pollfd asked = {device, last - first < QUEUE ? POLLIN : 0, 0};
    ppoll(&asked, 1, &pause, 0);
}

int main(int count, char **words)
{
    static char request[1 << 16];
    char options[128];
    stop_if(count != 6, 0, "storage FOLDER MOUNTPOINT SEEK RATE COUNTS");
    load_files(words[1]);
    seek_seconds = 1e-6 * atof(words[3]);
    bytes_a_second = 1e6 * atof(words[4]);
    int kept = open(words[5], O_RDWR | O_CREAT, 0600);
    stop_if(kept < 0 || ftruncate(kept, 2 * sizeof *counts), 0, words[5]);
    counts = mmap(0, 2 * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0);
    device = open("/dev/fuse", O_RDWR | O_NONBLOCK);
    stop_if(device < 0, 0, "/dev/fuse");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    stop_if(mount("storage", words[2], "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV, options), 0, words[2]);
    for (;;) {
        while (first != last && queue[first % QUEUE].due <= now())
            answer_piece(&queue[first++ % QUEUE]);
        wait_for_request();
        while (last - first < QUEUE && read(device, request, sizeof request) > 0)
            answer_request((struct fuse_in_header *)request);
        if (errno == ENODEV)
            return 0;
    }
}
