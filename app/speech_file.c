#include "speech_file.h"
#include "app.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a file can be made or written there: known before minutes of work, not after. */
static m8_status may_write(const char *path, m8_error *err)
{
    if (!access(path, W_OK)) return M8_OK;
    if (errno != ENOENT) return m8_fail_errno(err, M8_E_IO, "writing %s", path);
    const char *slash = strrchr(path, '/');
    char *folder = slash ? m8_strndup(path, slash - path + 1) : m8_strdup(".");
    if (!folder) return m8_fail(err, M8_E_NOMEM, "no memory for a path");
    m8_status st = access(folder, W_OK | X_OK) ? m8_fail_errno(err, M8_E_IO, "writing %s", path) : M8_OK;
    m8_free(folder);
    return st;
}

m8_status speech_file_init(struct speech_file *s, const char *path, m8_error *err)
{
    *s = (struct speech_file){ .format = M8_MP3 };
    if (!strcmp(path, "-")) {
        s->f = stdout;
        return M8_OK;
    }
    s->path = path;
    if (!m8_audio_format_of(&s->format, path)) return m8_fail(err, M8_E_ARG, "%s: the name must end in .mp3, .wav, .ogg or .aac", path);
    if (m8_is_dir(path)) return m8_fail(err, M8_E_ARG, "%s: is a folder", path);
    return may_write(path, err);
}

static bool is_regular(FILE *f)
{
    struct stat info;
    return !fstat(fileno(f), &info) && S_ISREG(info.st_mode);
}

static m8_status put(void *user, const void *data, size_t n)
{
    struct speech_file *s = user;
    errno = 0;
    if (!s->f) {
        s->f = fopen(s->path, "wb");
        if (s->f && is_regular(s->f)) cleanup_add(s->path);
    }
    if (s->f && fwrite(data, 1, n, s->f) == n && !fflush(s->f)) return M8_OK;
    s->error = errno ? errno : EIO;
    return M8_E_IO;
}

m8_bytes_sink speech_file_sink(struct speech_file *s) { return (m8_bytes_sink){ put, s }; }

m8_status speech_file_end(struct speech_file *s, m8_status st, m8_error *err)
{
    const char *name = s->path ? s->path : "standard output";
    if (s->path && s->f) {
        bool regular = is_regular(s->f);
        if (fclose(s->f) && !s->error) s->error = errno;
        if (regular && (st || s->error)) unlink(s->path);
        cleanup_forget(s->path);
        s->f = NULL;
    }
    if (!s->error) return st;
    errno = s->error;
    return m8_fail_errno(err, M8_E_IO, "writing %s", name);
}
