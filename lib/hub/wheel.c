/* A member of a wheel, which is a zip file. Only the member that the catalog names is read, and never more bytes than the
 * catalog allows, so that what else is in the archive does not matter. */
#include "hub_internal.h"
#include <inttypes.h>
#include <zip.h>

static m8_status copy(struct m8__part_file *p, zip_file_t *f, int64_t size, const char *member, m8_error *err)
{
    enum { CHUNK = 256 * 1024 };
    char *buf = m8_malloc(CHUNK);
    m8_status st = buf ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
    int64_t done = 0;
    while (!st && done < size) {
        zip_int64_t n = zip_fread(f, buf, CHUNK);
        if (n <= 0 || n > size - done) st = m8_fail(err, M8_E_FORMAT, "%s: the archive is damaged", member);
        else st = m8__part_write(p, buf, (size_t)n, err);
        done += n;
    }
    /* the end has to be seen for the checksum to be looked at */
    if (!st && zip_fread(f, buf, 1) != 0) st = m8_fail(err, M8_E_FORMAT, "%s: the archive is damaged", member);
    m8_free(buf);
    return st;
}

m8_status m8__wheel_member(struct m8__part_file *p, const char *wheel, const char *member, int64_t most, m8_error *err)
{
    int code = 0;
    zip_stat_t s;
    zip_t *z = zip_open(wheel, ZIP_RDONLY, &code);
    if (!z)
        return m8_fail(err, code == ZIP_ER_MEMORY ? M8_E_NOMEM : M8_E_FORMAT,
                       "the package is not a zip archive that can be read (%d)", code);
    m8_status st = M8_OK;
    zip_file_t *f = NULL;
    if (zip_stat(z, member, ZIP_FL_ENC_RAW, &s) || !(s.valid & ZIP_STAT_SIZE))
        st = m8_fail(err, M8_E_FORMAT, "the package has no file %s", member);
    if (!st && s.size > (zip_uint64_t)most)
        st = m8_fail(err, M8_E_HASH, "%s: expected at most %" PRId64 " bytes, the package has more", member, most);
    if (!st) f = zip_fopen_index(z, s.index, 0);
    if (!st && !f) st = m8_fail(err, M8_E_FORMAT, "%s: %s", member, zip_strerror(z));
    if (!st) st = copy(p, f, (int64_t)s.size, member, err);
    if (f) zip_fclose(f);
    zip_discard(z);
    return st;
}
