/* Loads FFmpeg when sound is first needed, not when the program starts: linked in, its 130 shared objects made even
 * `magic8 --help` wait 33 ms (measured: an empty program 0.7 ms without, 33 ms with them). */
#include "ffmpeg.h"

#include <m8/audio.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define STR_(x) #x
#define STR(x) STR_(x)
#ifdef __APPLE__
#define SONAME(lib, major) "lib" lib "." STR(major) ".dylib"
#else
#define SONAME(lib, major) "lib" lib ".so." STR(major)
#endif

enum { MAX_ALLOC = 128 << 20 };

static struct m8__ffmpeg table;
static m8_error load_error; /* set once, read by all */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void log_line(void *who, int level, const char *fmt, va_list ap)
{
    if (level > AV_LOG_INFO) return;
    char line[512];
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\r\n")] = 0;
    if (line[0]) m8_log(M8_LOG_DEBUG, "ffmpeg: %s", line);
}

/* The major versions are those of the headers: FFmpeg keeps its structures within one. */
static void *open_library(const char *soname)
{
    void *lib = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
    if (!lib) {
        const char *why = dlerror();
        m8_fail(&load_error, M8_E_UNSUPPORTED, "FFmpeg cannot be loaded: %s", why ? why : soname);
    }
    return lib;
}

static void load(void)
{
    void *avformat = open_library(SONAME("avformat", LIBAVFORMAT_VERSION_MAJOR));
    void *avcodec = open_library(SONAME("avcodec", LIBAVCODEC_VERSION_MAJOR));
    void *swresample = open_library(SONAME("swresample", LIBSWRESAMPLE_VERSION_MAJOR));
    void *avutil = open_library(SONAME("avutil", LIBAVUTIL_VERSION_MAJOR));
    if (load_error.status) return;
    void *at;
    /* POSIX promises that what dlsym gives can be a function; memcpy, because C does not */
#define X(lib, name)                                                                                                     \
    at = dlsym(lib, #name);                                                                                              \
    if (!at) m8_fail(&load_error, M8_E_UNSUPPORTED, "this FFmpeg has no %s", #name);                                     \
    memcpy(&table.name, &at, sizeof at);
    M8__FFMPEG_CALLS(X)
#undef X
    if (load_error.status) return;
    table.av_log_set_callback(log_line);
    table.av_max_alloc(MAX_ALLOC);
}

m8_status m8__ffmpeg(const struct m8__ffmpeg **out, m8_error *err)
{
    pthread_once(&once, load);
    *out = &table;
    if (load_error.status) return m8_fail(err, (m8_status)load_error.status, "%s", load_error.text);
    return M8_OK;
}

m8_status m8_audio_load(m8_error *err)
{
    const struct m8__ffmpeg *ff;
    return m8__ffmpeg(&ff, err);
}

m8_status m8__ffmpeg_fail(const struct m8__ffmpeg *ff, int code, m8_status st, const char *what, m8_error *err)
{
    if (code == AVERROR(ENOMEM)) return m8_fail(err, M8_E_NOMEM, "%s: out of memory", what);
    char text[AV_ERROR_MAX_STRING_SIZE] = "unknown error";
    ff->av_strerror(code, text, sizeof text);
    return m8_fail(err, st, "%s: %s", what, text);
}
