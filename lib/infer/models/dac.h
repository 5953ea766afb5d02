/* dac.h - the decoder of the Descript Audio Codec (Kumar et al. 2023, arXiv 2306.06546): codes to samples, as they come.
 *
 * A frame influences 9.3 frames of samples on each side. Here every convolution keeps the rows of its input that later outputs need,
 * so nothing is computed twice, and the samples are the same however the frames are cut. */
#ifndef M8_DAC_H
#define M8_DAC_H

#include "model.h"

struct dac; /* sizes and weights; its memory is the model's (nn_held) */

/* Any of the three namings, found by the tensors that are there; NULL and l->status on failure. */
const struct dac *m8__dac_load(nn_load *l);
int m8__dac_codebooks(const struct dac *d);     /* 9 */
int m8__dac_codebook_size(const struct dac *d); /* 1024 */
int m8__dac_hop(const struct dac *d);           /* samples of a frame: 512 */

struct dac_stream; /* one sound on its way: what each layer still needs of what it has seen */
m8_status m8__dac_stream_new(struct dac_stream **out, const struct dac *d, m8_error *err);
void m8__dac_stream_free(struct dac_stream *s);
/* n more frames, codes [n][codebooks], each below the codebook's size; last: no more will come (n may be 0). The samples that are
 * final by now, [count, 1] in the run's arena; all together n_frames * hop. It works in blocks of frames, so n may be large. tap (may
 * be NULL) sees every layer's output by its name in the original ("decoder.model.1.block.2.block.1"), piece by piece.
 *
 * A stream belongs to one thread at a time; run and pool may be others at each push. When a push fails (r->status: no memory, or
 * cancelled by r->stop) the stream is out of step, and all later ones fail with the same status. */
nn_t m8__dac_push(nn_run *r, struct dac_stream *s, const int *codes, int n, bool last, void (*tap)(void *user, const char *layer, nn_t x),
                  void *user);

#endif
