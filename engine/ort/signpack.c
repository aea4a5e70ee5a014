//go:build cgo

// SignPack, an operator of the domain onnxprobe, for the CPU:
//
//   codes, nan = SignPack(x, knots)
//
// as engine.SignPack says. Beside that it has the attributes
//
//   simd      bounds the instructions: 0 none, 1 AVX2, 2 AVX-512; all there are is
//             the default
//   block     B, when x lies as ONNX Runtime's convolutions keep their values:
//             [N, C/B, H, W, B], C filled up to a multiple of B
//   channels  how many of its C channels are real, a multiple of 8
//
// With a block, the codes are those of the same values in the usual order.
#include "ortapi.h"

enum { OP_FLOAT = 1, OP_UINT8 = 2, OP_DOUBLE = 11 }; // ONNXTensorElementDataType

// A packer sets bits to the sides of 64 n values at x.
typedef void (*op_packer)(const void *x, const void *knot, uint8_t *bits, size_t n);

#define ABOVE(a, b) ((a) > (b))
#define BELOW(a, b) ((a) < (b))

#define PLAIN(name, type, side)                                                      \
  static void name(const void *x, const void *knot, uint8_t *bits, size_t n) {       \
    const type *v = x, k = *(const type *)knot;                                      \
    for (size_t i = 0; i < 8 * n; i++, v += 8)                                       \
      bits[i] = (uint8_t)(side(v[0], k) << 7 | side(v[1], k) << 6 | side(v[2], k) << 5 | side(v[3], k) << 4 | \
                          side(v[4], k) << 3 | side(v[5], k) << 2 | side(v[6], k) << 1 | side(v[7], k));      \
  }
PLAIN(plain_float_above, float, ABOVE)
PLAIN(plain_float_below, float, BELOW)
PLAIN(plain_double_above, double, ABOVE)
PLAIN(plain_double_below, double, BELOW)

// A tiler takes n <= 64 places of B channels at x. words[c] gets the sides of channel
// c, those of the first place highest.
typedef void (*op_tiler)(const float *x, float knot, int below, size_t n, size_t B, uint64_t *words);

static void plain_tile(const float *x, float knot, int below, size_t n, size_t B, uint64_t *words) {
  for (size_t c = 0; c < B; c++) {
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++)
      w |= (uint64_t)(below ? x[i * B + c] < knot : x[i * B + c] > knot) << (63 - i);
    words[c] = w;
  }
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
#include <immintrin.h>

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
      for (int j = 0; j < 64; j += lanes, v += lanes) m |= (uint64_t)mask(load(v), k, how) << j; \
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

// The sides of a place are a mask of channels; kept last place first, so that the
// top bits of all places' masks, taken together, are the word of a channel.
__attribute__((target("avx2"))) static void avx2_tile(const float *x, float knot, int below, size_t n, size_t B, uint64_t *words) {
  if (B != 8) {
    plain_tile(x, knot, below, n, B, words);
    return;
  }
  uint8_t m[64] __attribute__((aligned(32))) = {0};
  const __m256 k = _mm256_set1_ps(knot);
  if (below)
    for (size_t i = 0; i < n; i++) m[63 - i] = (uint8_t)MASK8(_mm256_loadu_ps(x + 8 * i), k, _CMP_LT_OQ);
  else
    for (size_t i = 0; i < n; i++) m[63 - i] = (uint8_t)MASK8(_mm256_loadu_ps(x + 8 * i), k, _CMP_GT_OQ);
  __m256i low = _mm256_load_si256((const __m256i *)m), high = _mm256_load_si256((const __m256i *)m + 1);
  for (int c = 7; c >= 0; c--) {
    words[c] = (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32 | (uint32_t)_mm256_movemask_epi8(low);
    low = _mm256_add_epi8(low, low), high = _mm256_add_epi8(high, high);
  }
}

__attribute__((target("avx512f,avx512bw"))) static void avx512_tile(const float *x, float knot, int below, size_t n, size_t B, uint64_t *words) {
  if (B != 16) {
    avx2_tile(x, knot, below, n, B, words);
    return;
  }
  uint16_t m[64] __attribute__((aligned(64))) = {0};
  const __m512 k = _mm512_set1_ps(knot);
  if (below)
    for (size_t i = 0; i < n; i++) m[63 - i] = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * i), k, _CMP_LT_OQ);
  else
    for (size_t i = 0; i < n; i++) m[63 - i] = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * i), k, _CMP_GT_OQ);
  __m512i low = _mm512_load_si512(m), high = _mm512_load_si512(m + 32);
  for (int c = 15; c >= 0; c--) {
    words[c] = (uint64_t)_mm512_movepi16_mask(high) << 32 | _mm512_movepi16_mask(low);
    low = _mm512_add_epi16(low, low), high = _mm512_add_epi16(high, high);
  }
}

static int simd(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") ? 2 : __builtin_cpu_supports("avx2") ? 1 : 0;
}
static const op_packer packers[3][2][2] = {
    {{plain_float_above, plain_float_below}, {plain_double_above, plain_double_below}},
    {{avx2_float_above, avx2_float_below}, {avx2_double_above, avx2_double_below}},
    {{avx512_float_above, avx512_float_below}, {avx512_double_above, avx512_double_below}},
};
static const op_tiler tilers[3] = {plain_tile, avx2_tile, avx512_tile};
static const op_finder finders[3][2] = {{plain_float_nan, plain_double_nan}, {avx2_float_nan, avx2_double_nan}, {avx2_float_nan, avx2_double_nan}};
#else
static int simd(void) { return 0; }
static const op_packer packers[1][2][2] = {
    {{plain_float_above, plain_float_below}, {plain_double_above, plain_double_below}},
};
static const op_tiler tilers[1] = {plain_tile};
static const op_finder finders[1][2] = {{plain_float_nan, plain_double_nan}};
#endif

typedef struct {
  op_api api;
  op_packer pack;
  op_tiler tile;
  op_finder nan;
  int elem, below;
  size_t block, channels;
} kernel;

// task is one run of the operator, cut into pieces.
typedef struct {
  const kernel *k;
  const char *x, *knots;
  uint8_t *codes;              // null when not asked for
  float *nan;                  // null when not asked for
  size_t units, planes, bytes; // of an item
  size_t stride;               // values from item to item
  size_t area;                 // places of a channel, when blocked
  size_t piece, pieces;        // values (blocks of channels) of a piece, pieces of an item
} task;

// look marks an item that has a NaN among n values at x.
static void look(const task *t, size_t item, const void *x, size_t n) {
  float found = __builtin_nanf("");
  if (t->nan && t->k->nan(x, n)) __atomic_store(&t->nan[item], &found, __ATOMIC_RELAXED);
}

static int side(const task *t, const void *x, const void *knot) {
  if (t->k->elem == OP_FLOAT)
    return t->k->below ? *(const float *)x < *(const float *)knot : *(const float *)x > *(const float *)knot;
  return t->k->below ? *(const double *)x < *(const double *)knot : *(const double *)x > *(const double *)knot;
}

// pack_piece packs piece i of all items' pieces. No two pieces share a byte.
static void pack_piece(void *p, size_t i) {
  const task *t = p;
  size_t item = i / t->pieces, first = i % t->pieces * t->piece;
  size_t end = first + t->piece < t->units ? first + t->piece : t->units;
  size_t size = t->k->elem == OP_FLOAT ? sizeof(float) : sizeof(double);
  const char *x = t->x + item * t->stride * size;
  look(t, item, x + first * size, end - first);
  if (!t->codes) return;
  uint8_t *codes = t->codes + item * t->bytes;
  for (size_t plane = 0; plane < t->planes; plane++) {
    const char *knot = t->knots + plane * size;
    size_t u = first, bit = plane * t->units + first;
    while (u < end) {
      size_t n = bit % 8 ? 0 : (end - u) / 64;
      if (n) {
        t->k->pack(x + u * size, knot, codes + bit / 8, n);
        u += 64 * n, bit += 64 * n;
        continue;
      }
      uint8_t *b = codes + bit / 8;
      if (bit % 8 == 0) *b = 0;
      do
        *b |= (uint8_t)(side(t, x + u * size, knot) << (7 - bit % 8));
      while (++bit, ++u < end && bit % 8);
    }
  }
}

// big_endian is w as memory has it, the highest byte first.
static inline uint64_t big_endian(uint64_t w) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return w;
#else
  return __builtin_bswap64(w);
#endif
}

// put adds the highest n bits of w to bits, from bit on; the others are zero.
static inline void put(uint8_t *bits, size_t bit, uint64_t w, size_t n) {
  uint8_t *b = bits + bit / 8;
  size_t shift = bit % 8;
  uint64_t v = w >> shift;
  for (size_t end = shift + n, at = 0; at < end; at += 8, b++) {
    if (at == 64) v = w << (64 - shift);
    *b |= (uint8_t)(v >> 56);
    v <<= 8;
  }
}

// pack_tiles packs piece i of blocked items. A block of channels fills whole bytes.
static void pack_tiles(void *p, size_t i) {
  const task *t = p;
  const kernel *k = t->k;
  size_t B = k->block, blocks = t->stride / t->area / B;
  size_t item = i / t->pieces, first = i % t->pieces * t->piece;
  size_t end = first + t->piece < blocks ? first + t->piece : blocks;
  uint64_t words[64];
  for (size_t b = first; b < end && b * B < k->channels; b++) {
    const float *x = (const float *)t->x + item * t->stride + b * B * t->area;
    size_t real = k->channels - b * B < B ? k->channels - b * B : B;
    if (real == B) look(t, item, x, B * t->area);
    else // what fills a block up is no value of the network
      for (size_t place = 0; place < t->area; place++) look(t, item, x + place * B, real);
    if (!t->codes) continue;
    for (size_t plane = 0; plane < t->planes; plane++) {
      uint8_t *codes = t->codes + item * t->bytes + (plane * t->units + b * B * t->area) / 8;
      if (t->area % 8) memset(codes, 0, real * t->area / 8);
      for (size_t place = 0; place < t->area; place += 64) {
        size_t n = t->area - place < 64 ? t->area - place : 64;
        k->tile(x + place * B, ((const float *)t->knots)[plane], k->below, n, B, words);
        for (size_t c = 0; c < real; c++) {
          size_t bit = c * t->area + place;
          if (t->area % 8) {
            put(codes, bit, words[c], n);
          } else if (n == 64) {
            uint64_t w = big_endian(words[c]);
            memcpy(codes + bit / 8, &w, 8);
          } else {
            for (size_t at = 0; at < n; at += 8) codes[(bit + at) / 8] = (uint8_t)(words[c] >> (56 - at));
          }
        }
      }
    }
  }
}

static void *failed(op_api api, const char *msg) {
  return ((void *(*)(int, const char *))api[op_CreateStatus])(2 /* ORT_INVALID_ARGUMENT */, msg);
}

// TRY hands a status on.
#define TRY(api, name, types, ...)                               \
  do {                                                           \
    void *op_status = OP_CALL(api, name, types, __VA_ARGS__);    \
    if (op_status) { status = op_status; goto done; }            \
  } while (0)

// attribute is an integer attribute, or absent.
static int64_t attribute(op_api api, const void *info, const char *name, int64_t absent) {
  int64_t v = absent;
  void *status = OP_CALL(api, KernelInfoGetAttribute_int64, (const void *, const char *, int64_t *), info, name, &v);
  if (!status) return v;
  OP_FREE(api, ReleaseStatus, status);
  return absent;
}

static void *create(const op_custom *op, op_api api, const void *info, void **out) {
  void *status = NULL, *type[2] = {NULL, NULL};
  int32_t elem[2] = {0, 0};
  for (size_t i = 0; i < 2; i++) {
    void *shape = NULL; // belongs to type
    TRY(api, KernelInfo_GetInputTypeInfo, (const void *, size_t, void **), info, i, &type[i]);
    TRY(api, CastTypeInfoToTensorInfo, (void *, void **), type[i], &shape);
    if (shape) TRY(api, GetTensorElementType, (void *, int32_t *), shape, &elem[i]);
  }
  if (elem[0] != elem[1] || (elem[0] != OP_FLOAT && elem[0] != OP_DOUBLE)) {
    status = failed(api, "SignPack: the values and the knots must both be float or both double");
    goto done;
  }
  int64_t block = attribute(api, info, "block", 0), channels = attribute(api, info, "channels", 0);
  if (block < 0 || block > 64 || block % 8 || (block && (elem[0] != OP_FLOAT || channels < 8 || channels % 8))) {
    status = failed(api, "SignPack: a block is of 8 to 64 floats, its channels a multiple of 8");
    goto done;
  }
  kernel *k = malloc(sizeof *k);
  if (!k) {
    status = failed(api, "SignPack: out of memory");
    goto done;
  }
  int64_t level = attribute(api, info, "simd", 2);
  if (level > simd()) level = simd();
  k->api = api;
  k->elem = elem[0];
  k->below = attribute(api, info, "below", 0) != 0;
  k->block = (size_t)block;
  k->channels = (size_t)channels;
  k->tile = tilers[level < 0 ? 0 : level];
  k->nan = finders[level < 0 ? 0 : level][k->elem == OP_DOUBLE];
  k->pack = packers[level < 0 ? 0 : level][k->elem == OP_DOUBLE][k->below];
  *out = k;
done:
  for (size_t i = 0; i < 2; i++)
    if (type[i]) OP_FREE(api, ReleaseTypeInfo, type[i]);
  return status;
}

// input is input i of a run: its shape and where it lies.
static void *input(op_api api, void *context, size_t i, int64_t *dims, size_t *rank, size_t *count, void **data) {
  void *status = NULL, *value = NULL, *info = NULL;
  TRY(api, KernelContext_GetInput, (void *, size_t, void **), context, i, &value);
  TRY(api, GetTensorTypeAndShape, (void *, void **), value, &info);
  TRY(api, GetTensorShapeElementCount, (void *, size_t *), info, count);
  TRY(api, GetDimensionsCount, (void *, size_t *), info, rank);
  if (*rank > OP_RANK) {
    status = failed(api, "SignPack: an input has more than 32 dimensions");
    goto done;
  }
  TRY(api, GetDimensions, (void *, int64_t *, size_t), info, dims, *rank);
  TRY(api, GetTensorMutableData, (void *, void **), value, data);
done:
  if (info) OP_FREE(api, ReleaseTensorTypeAndShapeInfo, info);
  return status;
}

// PIECE is how many values go to a thread at a time: enough to be worth it, few
// enough for a second knot to find them in the cache.
enum { PIECE = 32768 };

static void *compute(void *p, void *context) {
  const kernel *k = p;
  op_api api = k->api;
  void *status = NULL, *value = NULL, *nan = NULL, *x = NULL, *knots = NULL, *codes = NULL;
  void (*work)(void *, size_t) = pack_piece;
  int64_t dims[OP_RANK], shape[2];
  size_t rank = 0, count = 0;
  task t = {.k = k};
  if ((status = input(api, context, 1, dims, &rank, &t.planes, &knots))) goto done;
  if ((status = input(api, context, 0, dims, &rank, &count, &x))) goto done;
  if (rank < 1 || (k->block && (rank != 4 || dims[1] % (int64_t)k->block || dims[1] < (int64_t)k->channels))) {
    status = failed(api, "SignPack: the values have no axis of items, or no blocks of channels");
    goto done;
  }
  t.stride = t.units = dims[0] > 0 ? count / (size_t)dims[0] : 0;
  if (k->block) {
    work = pack_tiles;
    t.area = (size_t)(dims[2] * dims[3]);
    t.units = k->channels * t.area;
    t.piece = t.area ? PIECE / (t.area * k->block) : 1;
    t.piece += t.piece == 0;
    t.pieces = ((size_t)dims[1] / k->block + t.piece - 1) / t.piece;
  } else {
    // Planes that do not start on a byte share one with the plane before.
    t.piece = t.planes > 1 && t.units % 8 ? t.units : PIECE;
    t.pieces = t.piece ? (t.units + t.piece - 1) / t.piece : 0;
  }
  t.bytes = (t.units * t.planes + 7) / 8;
  shape[0] = dims[0], shape[1] = (int64_t)t.bytes;
  // Of an output that is not asked for there is no value.
  TRY(api, KernelContext_GetOutput, (void *, size_t, const int64_t *, size_t, void **), context, (size_t)0, shape, (size_t)2, &value);
  TRY(api, KernelContext_GetOutput, (void *, size_t, const int64_t *, size_t, void **), context, (size_t)1, shape, (size_t)1, &nan);
  if (value && t.planes) TRY(api, GetTensorMutableData, (void *, void **), value, &codes);
  if (nan) TRY(api, GetTensorMutableData, (void *, void **), nan, (void **)&t.nan);
  if (t.nan) memset(t.nan, 0, (size_t)dims[0] * sizeof(float));
  if (count == 0) goto done;
  t.x = x, t.knots = knots, t.codes = codes;
  size_t total = t.pieces * (size_t)dims[0];
  if (count <= PIECE) {
    for (size_t i = 0; i < total; i++) work(&t, i);
  } else {
    TRY(api, KernelContext_ParallelFor, (void *, void (*)(void *, size_t), size_t, size_t, void *), context, work, total, (size_t)0, &t);
  }
done:
  return status;
}

static void destroy(void *k) { free(k); }
static const char *name(const op_custom *op) { return "SignPack"; }
static const char *cpu(const op_custom *op) { return NULL; }
static int any_type(const op_custom *op, size_t i) { return 0; }
static int out_type(const op_custom *op, size_t i) { return i == 0 ? OP_UINT8 : OP_FLOAT; }
static size_t two(const op_custom *op) { return 2; }
static int required(const op_custom *op, size_t i) { return 0; }
static int optional(const op_custom *op, size_t i) { return 1; }
static int usual(const op_custom *op, size_t i) { return 0; }
static int least(const op_custom *op) { return 1; }
static int first_version(const op_custom *op) { return 1; }
static int last_version(const op_custom *op) { return 0x7fffffff; }

const op_custom op_signpack = {
    .version = 29,
    .GetName = name,
    .GetExecutionProviderType = cpu,
    .GetInputType = any_type,
    .GetInputTypeCount = two,
    .GetOutputType = out_type,
    .GetOutputTypeCount = two,
    .KernelDestroy = destroy,
    .GetInputCharacteristic = required,
    .GetOutputCharacteristic = optional,
    .GetInputMemoryType = usual,
    .GetVariadicInputMinArity = least,
    .GetVariadicInputHomogeneity = least,
    .GetVariadicOutputMinArity = least,
    .GetVariadicOutputHomogeneity = least,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute,
    .GetStartVersion = first_version,
    .GetEndVersion = last_version,
};
