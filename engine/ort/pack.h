// What the operators of pack.c do to values: for every processor, and for those with
// AVX2 and AVX-512.
#ifndef ONNXPROBE_PACK_H
#define ONNXPROBE_PACK_H

#include <stdint.h>
#include <string.h>

// A packer sets bits to the sides of 64 n values at x.
typedef void (*op_packer)(const void *x, const void *knot, uint8_t *bits, size_t n);

#define MORE(a, b) ((a) > (b))
#define LESS(a, b) ((a) < (b))

#define PLAIN(name, type, side)                                                      \
  static void name(const void *x, const void *knot, uint8_t *bits, size_t n) {       \
    const type *v = x, k = *(const type *)knot;                                      \
    for (size_t i = 0; i < 8 * n; i++, v += 8)                                       \
      bits[i] = (uint8_t)(side(v[0], k) << 7 | side(v[1], k) << 6 | side(v[2], k) << 5 | side(v[3], k) << 4 | \
                          side(v[4], k) << 3 | side(v[5], k) << 2 | side(v[6], k) << 1 | side(v[7], k));      \
  }
PLAIN(plain_float_above, float, MORE)
PLAIN(plain_float_below, float, LESS)
PLAIN(plain_double_above, double, MORE)
PLAIN(plain_double_below, double, LESS)

// A tiler takes up to 64 places of a block of channels at x, in all of which the channels
// lie side by side. words[block * k + c] gets the sides that channel c takes of knot k,
// those of the first place highest. One of an activation sets y, which may be x, to the
// activations; without knots it takes any number of places.
typedef struct {
  size_t block; // 8 or 16
  float alpha, beta;
} tiling;
typedef void (*op_tiler)(const tiling *t, const float *x, float *y, const float *knots, size_t planes, size_t n, uint64_t *words);

// MOST_PLANES is how many knots a tiler takes at once.
enum { MOST_PLANES = 4 };

// What a tiler does: the sides above knots or below them, or those above and an
// activation, numbered as Go's activation has them.
enum { ABOVE, BELOW, RELU, CLIP, HARD_SIGMOID, HARD_SWISH, SILU, KINDS };

#define PLAIN_TILE(name, side)                                                       \
  static void name(const tiling *t, const float *x, float *y, const float *knots, size_t planes, size_t n, uint64_t *words) { \
    for (size_t p = 0; p < planes; p++)                                              \
      for (size_t c = 0; c < t->block; c++) {                                        \
        uint64_t w = 0;                                                              \
        for (size_t i = 0; i < n; i++) w |= (uint64_t)(side(x[i * t->block + c], knots[p])) << (63 - i); \
        words[p * t->block + c] = w;                                                 \
      }                                                                              \
  }
PLAIN_TILE(plain_above, MORE)
PLAIN_TILE(plain_below, LESS)

// A scaler sets y, which may be x, to places of a block of channels at x, each times the
// factor of its channel.
typedef void (*op_scaler)(size_t block, const float *x, const float *factors, float *y, size_t n);

static void plain_scale(size_t block, const float *x, const float *factors, float *y, size_t n) {
  for (size_t i = 0; i < n; i++)
    for (size_t c = 0; c < block; c++) y[i * block + c] = x[i * block + c] * factors[c];
}

// A finder says whether any of n values is a NaN.
typedef int (*op_finder)(const void *x, size_t n);

#define NANS(name, type)                                       \
  static int name(const void *x, size_t n) {                   \
    const type *v = x;                                         \
    int found = 0;                                             \
    for (size_t i = 0; i < n; i++) found |= v[i] != v[i];      \
    return found;                                              \
  }
NANS(plain_float_nan, float)
NANS(plain_double_nan, double)

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

// FETCH has what lies two pages behind p brought to the nearest cache: processors look
// ahead by themselves, but not past the end of a page. There may be nothing there.
#define FETCH(p) _mm_prefetch((const char *)(p) + 8192, _MM_HINT_T0)

// turned mirrors the bits of each byte: a mask has the first value lowest.
static inline uint64_t turned(uint64_t m) {
  m = (m >> 4 & 0x0f0f0f0f0f0f0f0f) | (m & 0x0f0f0f0f0f0f0f0f) << 4;
  m = (m >> 2 & 0x3333333333333333) | (m & 0x3333333333333333) << 2;
  return (m >> 1 & 0x5555555555555555) | (m & 0x5555555555555555) << 1;
}

#define WIDE(name, type, isa, vector, load, all, mask, lanes, how)                   \
  __attribute__((target(isa))) static void name(const void *x, const void *knot, uint8_t *bits, size_t n) { \
    const type *v = x;                                                               \
    const vector k = all(*(const type *)knot);                                       \
    for (size_t i = 0; i < n; i++) {                                                 \
      uint64_t m = 0;                                                                \
      for (int j = 0; j < 64; j += lanes, v += lanes) {                              \
        FETCH(v);                                                                    \
        m |= (uint64_t)mask(load(v), k, how) << j;                                   \
      }                                                                              \
      m = turned(m);                                                                 \
      memcpy(bits + 8 * i, &m, 8);                                                   \
    }                                                                                \
  }
#define MASK8(a, b, how) (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, how))
#define MASK4(a, b, how) (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(a, b, how))
WIDE(avx2_float_above, float, "avx2", __m256, _mm256_loadu_ps, _mm256_set1_ps, MASK8, 8, _CMP_GT_OQ)
WIDE(avx2_float_below, float, "avx2", __m256, _mm256_loadu_ps, _mm256_set1_ps, MASK8, 8, _CMP_LT_OQ)
WIDE(avx2_double_above, double, "avx2", __m256d, _mm256_loadu_pd, _mm256_set1_pd, MASK4, 4, _CMP_GT_OQ)
WIDE(avx2_double_below, double, "avx2", __m256d, _mm256_loadu_pd, _mm256_set1_pd, MASK4, 4, _CMP_LT_OQ)
WIDE(avx512_float_above, float, "avx512f", __m512, _mm512_loadu_ps, _mm512_set1_ps, _mm512_cmp_ps_mask, 16, _CMP_GT_OQ)
WIDE(avx512_float_below, float, "avx512f", __m512, _mm512_loadu_ps, _mm512_set1_ps, _mm512_cmp_ps_mask, 16, _CMP_LT_OQ)
WIDE(avx512_double_above, double, "avx512f", __m512d, _mm512_loadu_pd, _mm512_set1_pd, _mm512_cmp_pd_mask, 8, _CMP_GT_OQ)
WIDE(avx512_double_below, double, "avx512f", __m512d, _mm512_loadu_pd, _mm512_set1_pd, _mm512_cmp_pd_mask, 8, _CMP_LT_OQ)

// A comparison for order finds the NaNs of two vectors at once.
#define WIDENAN(name, type, vector, zero, load, cmp, or, mask, lanes, plain)         \
  __attribute__((target("avx2"))) static int name(const void *x, size_t n) {         \
    const type *v = x;                                                               \
    vector found = zero();                                                           \
    size_t i = 0;                                                                    \
    for (; i + 2 * lanes <= n; i += 2 * lanes) found = or(found, cmp(load(v + i), load(v + i + lanes), _CMP_UNORD_Q)); \
    return mask(found) || plain(v + i, n - i);                                       \
  }
WIDENAN(avx2_float_nan, float, __m256, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_cmp_ps, _mm256_or_ps, _mm256_movemask_ps, 8, plain_float_nan)
WIDENAN(avx2_double_nan, double, __m256d, _mm256_setzero_pd, _mm256_loadu_pd, _mm256_cmp_pd, _mm256_or_pd, _mm256_movemask_pd, 4, plain_double_nan)

#define ISA256 "avx2,fma"
#define ISA512 "avx512f,avx2,fma"
#define INLINE(isa) __attribute__((target(isa), always_inline)) static inline
#define UNROLL _Pragma("GCC unroll 4")

// The activations are those of ONNX Runtime's own kernels to the bit, which Go's agrees
// holds them to before they are used: of a minimum or maximum with a NaN, or of zeros of
// both signs, the processor gives the second, and a product and a sum are rounded one by
// one but in the polynomials of the logistic function, which are MLAS's.
#define NOT_FUSED(v) __asm__("" : "+v"(v))
static const float logistic_p[] = {4.37031012579801e-11f, 1.15627324459942e-07f, 6.08574864600143e-05f, 8.51377133304701e-03f, 2.48287947061529e-01f};
static const float logistic_q[] = {6.10247389755681e-13f, 5.76102136993427e-09f, 6.29106785017040e-06f, 1.70198817374094e-03f, 1.16817656904453e-01f, 9.93151921023180e-01f};

#define ACTIVATED(bits, isa, vec)                                                    \
  INLINE(isa) vec activated##bits(int act, vec v, vec alpha, vec beta) {             \
    const vec zero = _mm##bits##_setzero_ps(), one = _mm##bits##_set1_ps(1);         \
    switch (act) {                                                                   \
    case RELU: return _mm##bits##_max_ps(zero, v);                                   \
    case CLIP: return _mm##bits##_min_ps(beta, _mm##bits##_max_ps(alpha, v));        \
    case HARD_SIGMOID:                                                               \
    case HARD_SWISH: {                                                               \
      vec m = _mm##bits##_mul_ps(v, alpha);                                          \
      NOT_FUSED(m);                                                                  \
      vec h = _mm##bits##_max_ps(zero, _mm##bits##_min_ps(one, _mm##bits##_add_ps(m, beta))); \
      return act == HARD_SWISH ? _mm##bits##_mul_ps(v, h) : h;                       \
    }                                                                                \
    case SILU: {                                                                     \
      vec w = _mm##bits##_min_ps(_mm##bits##_set1_ps(18), _mm##bits##_max_ps(_mm##bits##_set1_ps(-18), v)); \
      vec s = _mm##bits##_mul_ps(w, w), p = _mm##bits##_set1_ps(logistic_p[0]), q = _mm##bits##_set1_ps(logistic_q[0]); \
      for (int i = 1; i < 5; i++) p = _mm##bits##_fmadd_ps(p, s, _mm##bits##_set1_ps(logistic_p[i])); \
      for (int i = 1; i < 6; i++) q = _mm##bits##_fmadd_ps(q, s, _mm##bits##_set1_ps(logistic_q[i])); \
      vec r = _mm##bits##_div_ps(_mm##bits##_mul_ps(p, w), q);                       \
      r = _mm##bits##_add_ps(r, _mm##bits##_set1_ps(0.5f));                          \
      return _mm##bits##_mul_ps(v, _mm##bits##_max_ps(zero, _mm##bits##_min_ps(one, r))); \
    }                                                                                \
    }                                                                                \
    return v;                                                                        \
  }
ACTIVATED(256, ISA256, __m256)
ACTIVATED(512, ISA512, __m512)

// A lane is a channel, in which the sides of 32 places gather, each at a bit of its own.
// The comparisons are written out because they take a constant only.
#define GATHER256(sides, v, knot, bit, kind)                                         \
  _mm256_or_si256(sides, _mm256_and_si256(bit, _mm256_castps_si256(                  \
    kind == BELOW ? _mm256_cmp_ps(v, knot, _CMP_LT_OQ) : _mm256_cmp_ps(v, knot, _CMP_GT_OQ))))
#define GATHER512(sides, v, knot, bit, kind)                                         \
  _mm512_or_si512(sides, _mm512_maskz_mov_epi32(                                     \
    kind == BELOW ? _mm512_cmp_ps_mask(v, knot, _CMP_LT_OQ) : _mm512_cmp_ps_mask(v, knot, _CMP_GT_OQ), bit))

// set256 and set512 make words of the sides of the first and of the last 32 places.
INLINE(ISA256) void set256(uint64_t *words, __m256i first, __m256i last) {
  __m256i even = _mm256_unpacklo_epi32(last, first), odd = _mm256_unpackhi_epi32(last, first);
  _mm256_storeu_si256((__m256i *)words, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256((__m256i *)words + 1, _mm256_permute2x128_si256(even, odd, 0x31));
}
INLINE(ISA512) void set512(uint64_t *words, __m512i first, __m512i last) {
  set256(words, _mm512_castsi512_si256(first), _mm512_castsi512_si256(last));
  set256(words + 8, _mm512_extracti64x4_epi64(first, 1), _mm512_extracti64x4_epi64(last, 1));
}

// A tile is taken in columns of as many channels as a vector has lanes. One loop loads all
// places: to look ahead, processors follow the addresses of one instruction, and lose them
// where another takes over.
#define TILE(bits, isa, reals, ints, lanes)                                          \
  INLINE(isa) void tile##bits(int kind, const tiling *t, const float *x, float *y, const float *knots, size_t planes, size_t n, uint64_t *words) { \
    const size_t block = t->block;                                                   \
    const reals alpha = _mm##bits##_set1_ps(t->alpha), beta = _mm##bits##_set1_ps(t->beta); \
    reals knot[MOST_PLANES];                                                              \
    UNROLL for (size_t p = 0; p < planes; p++) knot[p] = _mm##bits##_set1_ps(knots[p]); \
    for (size_t column = 0; column < block; column += lanes) {                       \
      ints first[MOST_PLANES], sides[MOST_PLANES]; /* of the first 32 places, and of the present */ \
      UNROLL for (size_t p = 0; p < planes; p++) sides[p] = _mm##bits##_setzero_si##bits(); \
      for (size_t from = 0; from < 64; from += 32) {                                 \
        ints bit = _mm##bits##_set1_epi32((int)(1u << 31));                          \
        UNROLL for (size_t p = 0; p < planes; p++) first[p] = sides[p], sides[p] = _mm##bits##_setzero_si##bits(); \
        const size_t end = from || n < 32 ? n : 32;                                  \
        for (size_t i = from; i < end; i++) {                                        \
          FETCH(x + block * i + column);                                             \
          const reals v = _mm##bits##_loadu_ps(x + block * i + column);              \
          UNROLL for (size_t p = 0; p < planes; p++) sides[p] = GATHER##bits(sides[p], v, knot[p], bit, kind); \
          bit = _mm##bits##_srli_epi32(bit, 1);                                      \
          if (kind > BELOW) _mm##bits##_storeu_ps(y + block * i + column, activated##bits(kind, v, alpha, beta)); \
        }                                                                            \
      }                                                                              \
      UNROLL for (size_t p = 0; p < planes; p++) set##bits(words + block * p + column, first[p], sides[p]); \
    }                                                                                \
  }
TILE(256, ISA256, __m256, __m256i, 8)
TILE(512, ISA512, __m512, __m512i, 16)

// Each number of knots has code of its own, whose sides stay in registers.
#define TILER(bits, isa, kind)                                                       \
  __attribute__((target(isa))) static void tile##bits##_##kind(const tiling *t, const float *x, float *y, const float *knots, size_t planes, size_t n, uint64_t *words) { \
    switch (planes) {                                                                \
    case 0: tile##bits(kind, t, x, y, knots, 0, n, words); break;                    \
    case 1: tile##bits(kind, t, x, y, knots, 1, n, words); break;                    \
    case 2: tile##bits(kind, t, x, y, knots, 2, n, words); break;                    \
    case 3: tile##bits(kind, t, x, y, knots, 3, n, words); break;                    \
    case 4: tile##bits(kind, t, x, y, knots, 4, n, words); break;                    \
    }                                                                                \
  }
#define TILERS(bits, isa)                                                            \
  TILER(bits, isa, ABOVE)                                                            \
  TILER(bits, isa, BELOW)                                                            \
  TILER(bits, isa, RELU)                                                             \
  TILER(bits, isa, CLIP)                                                             \
  TILER(bits, isa, HARD_SIGMOID)                                                     \
  TILER(bits, isa, HARD_SWISH)                                                       \
  TILER(bits, isa, SILU)
TILERS(256, ISA256)
TILERS(512, ISA512)
#define ALL_TILERS(bits) {tile##bits##_ABOVE, tile##bits##_BELOW, tile##bits##_RELU, tile##bits##_CLIP, tile##bits##_HARD_SIGMOID, tile##bits##_HARD_SWISH, tile##bits##_SILU}

#define SCALER(bits, isa, reals, lanes)                                              \
  __attribute__((target(isa))) static void scale##bits(size_t block, const float *x, const float *factors, float *y, size_t n) { \
    for (size_t column = 0; column < block; column += lanes) {                       \
      const reals f = _mm##bits##_loadu_ps(factors + column);                        \
      for (size_t i = column; i < n * block; i += block) {                           \
        FETCH(x + i);                                                                \
        _mm##bits##_storeu_ps(y + i, _mm##bits##_mul_ps(_mm##bits##_loadu_ps(x + i), f)); \
      }                                                                              \
    }                                                                                \
  }
SCALER(256, ISA256, __m256, 8)
SCALER(512, ISA512, __m512, 16)

static int simd(void) {
  // Asked of the processor itself: in what zig links, __builtin_cpu_supports says no to all.
  unsigned a, b, c, d, kept, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX) || !(c & bit_FMA)) return 0;
  __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0)); // which registers the system keeps
  if ((kept & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return 0;
  return (b & bit_AVX512F) && (kept & 0xe6) == 0xe6 ? 2 : 1;
}
static const op_packer packers[3][2][2] = {
    {{plain_float_above, plain_float_below}, {plain_double_above, plain_double_below}},
    {{avx2_float_above, avx2_float_below}, {avx2_double_above, avx2_double_below}},
    {{avx512_float_above, avx512_float_below}, {avx512_double_above, avx512_double_below}},
};
static const op_tiler tilers[3][KINDS] = {{plain_above, plain_below}, ALL_TILERS(256), ALL_TILERS(512)};
static const op_scaler scalers[3] = {plain_scale, scale256, scale512};
static const op_finder finders[3][2] = {{plain_float_nan, plain_double_nan}, {avx2_float_nan, avx2_double_nan}, {avx2_float_nan, avx2_double_nan}};
#else
static int simd(void) { return 0; }
static const op_packer packers[1][2][2] = {
    {{plain_float_above, plain_float_below}, {plain_double_above, plain_double_below}},
};
static const op_tiler tilers[1][KINDS] = {{plain_above, plain_below}};
static const op_scaler scalers[1] = {plain_scale};
static const op_finder finders[1][2] = {{plain_float_nan, plain_double_nan}};
#endif

#endif
