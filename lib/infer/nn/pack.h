/* pack.h - panels out of floats, or out of a file's blocks without going through floats. */
#ifndef M8_PACK_H
#define M8_PACK_H

#include "nn.h"

size_t m8__panel_bytes(nn_type type, int n_in, int taps); /* a multiple of 64 */
/* The blocks that can be moved into panels as they are, rows having n_in inputs, and the type of these; < 0: none such. */
int m8__blocks_of(m8__dtype file, nn_type *type, int n_in);
int m8__blocks_of_floats(m8__dtype file, int n_in); /* into panels of NN_F32 */
/* Row at[o] of raw[o] (NULL: a row of zeros, at `zeros`) for the 16 outputs of a panel; all are of the type `file`. */
void m8__pack_blocks(const struct m8__kernels *k, void *panel, int blocks, m8__dtype file, const m8__tensor *const raw[PANEL], const int64_t at[PANEL],
                     int n_in, const uint8_t *zeros);
/* Row `lane` of a panel of NN_F32 or NN_BF16: [taps][n_in] floats. */
void m8__pack_lane(nn_type type, void *panel, int lane, const float *row, int n_in, int taps);
/* rows: [16][taps * n_in] floats. Not for NN_Q6 to NN_Q4. */
void m8__pack_floats(nn_type type, void *panel, const float *rows, int n_in, int taps);

/* The stored row that is row `row` once each head of `unpermute` rows is put back from GGUF's order. */
int m8__stored_row(int row, int unpermute);
/* Row `at` of a matrix of k columns, which the file may hold as [rows, k, 1]. */
void m8__read_row(float *row, const m8__tensor *t, int64_t at, int k);
/* Where the 16 rows of panel i of a segment lie; rows behind its last one are that again. */
void m8__seg_rows(const nn_seg *s, int i, const uint8_t *row[PANEL]);
/* Panel i of rows without blocks that lie in the file. floats: [16][n_in], to work with. */
void m8__seg_floats(const nn_seg *s, int i, void *panel, int n_in, float *floats);

#endif
