/* pack.h - panels out of floats, or out of a file's blocks without going through floats. */
#ifndef M8_PACK_H
#define M8_PACK_H

#include "nn.h"

size_t m8__panel_bytes(nn_type type, int n_in, int taps); /* a multiple of 64 */
/* Can blocks of the file's type be moved into panels of this type as they are? */
bool m8__pack_direct(nn_type type, m8__dtype file);
/* Row at[o] of raw[o] (NULL: zeros) for the 16 outputs of a panel; k inputs. */
void m8__pack_blocks(nn_type type, void *panel, const m8__tensor *const raw[PANEL], const int64_t at[PANEL], int k);
/* Row `lane` of a panel of NN_F32 or NN_BF16: [taps][n_in] floats. */
void m8__pack_lane(nn_type type, void *panel, int lane, const float *row, int n_in, int taps);
/* rows: [16][taps * n_in] floats. Not for NN_Q4. */
void m8__pack_floats(nn_type type, void *panel, const float *rows, int n_in, int taps);

#endif
