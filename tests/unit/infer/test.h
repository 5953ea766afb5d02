/* cmocka, and where the tests' data and models are. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <m8/base.h>

/* New. */
static inline char *test_data(const char *name)
{
    const char *dir = getenv("MAGIC8_TEST_DATA");
    assert_non_null(dir);
    return m8_join_path(dir, name);
}

/* New; NULL, and says so, where the models are not there. */
static inline char *test_model(const char *name)
{
    const char *dir = getenv("MAGIC8_TEST_MODELS");
    char *path = dir ? m8_join_path(dir, name) : NULL;
    if (path && (m8_is_file(path) || m8_is_dir(path))) return path;
    m8_free(path);
    print_message("skipped: the model %s is not in MAGIC8_TEST_MODELS\n", name);
    return NULL;
}

#endif
