/* Preloaded: each question about a file of the survey takes an hour, as where a server does not answer: no signal
   ends the wait. The first one makes the file that ASKED names. */
struct moment { long seconds, nanoseconds; };
extern int nanosleep(const struct moment *, struct moment *);
extern void *dlsym(void *, const char *);
extern char *strstr(const char *, const char *);
extern char *getenv(const char *);
extern int creat(const char *, unsigned);
#define NEXT ((void *)-1L)

static void wait_for(const char *path)
{
    struct moment pause = {3600, 0};
    const char *asked = getenv("ASKED");
    if (!path || !strstr(path, "KiDS_"))
        return;
    if (asked)
        creat(asked, 0600);
    while (nanosleep(&pause, &pause))
        ;
}

/* Programs for large files call the names with 64. */
#define QUESTION(name)                                                             \
    int name(const char *path, void *status)                                       \
    {                                                                              \
        int (*real)(const char *, void *) = dlsym(NEXT, #name);                    \
        wait_for(path);                                                            \
        return real(path, status);                                                 \
    }
#define QUESTION_IN_FOLDER(name)                                                   \
    int name(int folder, const char *path, void *status, int flags)                \
    {                                                                              \
        int (*real)(int, const char *, void *, int) = dlsym(NEXT, #name);          \
        wait_for(path);                                                            \
        return real(folder, path, status, flags);                                  \
    }

QUESTION(stat)
QUESTION(stat64)
QUESTION(lstat)
QUESTION(lstat64)
QUESTION_IN_FOLDER(fstatat)
QUESTION_IN_FOLDER(fstatat64)
