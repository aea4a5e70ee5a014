//go:build cgo

// The operators of the domain onnxprobe, for the CPU:
//
//   codes, nan = SignPack(x, knots)
//   y, codes, nan = ActPack(x, knots)
//   y = Scale(x, factors)
//
// SignPack is as engine.SignPack says; its attribute below asks for the sides below the
// knots. The others are of this package alone, and work in place where nothing else reads
// x. ActPack is a SignPack that also applies an activation. Scale multiplies the channels
// of x [N, C, H, W] by factors [N or 1, C, 1, 1]. They have the attributes
//
//   simd      bounds the instructions: 0 none, 1 AVX2, 2 AVX-512; all there are is
//             the default
//   block     8 or 16, when x (and the factors) lie as ONNX Runtime's convolutions keep
//             their values: [N, C/block, H, W, block], C filled up to a multiple of block
//   channels  how many of its C channels are real; for packing a multiple of 8
//
// With a block, which only SignPack may be without, the codes are those of the same values
// in the usual order, and Scale sets to zero what fills the last block up. ActPack's
// attribute kind is the activation, numbered as in pack.h, alpha and beta are its numbers;
// it needs AVX2.
#include "ortapi.h"
#include "pack.h"

enum { OP_FLOAT = 1, OP_UINT8 = 2, OP_DOUBLE = 11 }; // ONNXTensorElementDataType

typedef struct {
  op_api api;
  op_packer pack;
  op_tiler sides, activate; // activate gives the sides, too
  op_finder nan;
  int elem, below;
  tiling tiling;
  size_t channels;
} kernel;

// task is one run of the operator, cut into pieces.
typedef struct {
  const kernel *k;
  const char *x, *knots;
  uint8_t *codes;              // null when not asked for
  float *nan;                  // null when not asked for
  float *y;                    // ActPack's, may be x; else null
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
  if (n == 64) { // all bytes are this channel's
    uint64_t old;
    memcpy(&old, b, 8);
    old |= big_endian(v);
    memcpy(b, &old, 8);
    if (shift) b[8] |= (uint8_t)(w << (8 - shift));
    return;
  }
  for (size_t end = shift + n, at = 0; at < end; at += 8, b++) {
    if (at == 64) v = w << (64 - shift);
    *b |= (uint8_t)(v >> 56);
    v <<= 8;
  }
}

// LINE_WORDS is how many words of a channel are held before they are written one after the
// other.
enum { LINE_WORDS = 32, MOST_CHANNELS = 16 };

// line writes the codes that one knot gives of a block of channels, of at most LINE_WORDS
// words each, which lie step apart: the channels follow each other without a gap.
static void line(uint8_t *codes, const uint64_t *words, size_t step, size_t area, size_t channels) {
  uint64_t next = 0;
  size_t fill = 0; // bits of it
  for (size_t c = 0; c < channels; c++) {
    const uint64_t *w = words + c;
    for (size_t left = area; left; w += step) {
      size_t n = left < 64 ? left : 64;
      next |= *w >> fill;
      if (fill + n >= 64) {
        uint64_t out = big_endian(next);
        memcpy(codes, &out, 8);
        codes += 8;
        next = fill ? *w << (64 - fill) : 0;
        fill = fill + n - 64;
      } else {
        fill += n;
      }
      left -= n;
    }
  }
  for (; fill; fill -= 8, next <<= 8) *codes++ = (uint8_t)(next >> 56);
}

// pack_block packs a block of channels at x, of which so many are real, and sets y to
// their activations. codes is where the bits of the first knot go, null for nowhere.
static void pack_block(const task *t, size_t item, const float *x, float *y, uint8_t *codes, size_t channels) {
  const kernel *k = t->k;
  size_t block = k->tiling.block, planes = codes ? t->planes : 0;
  int inLine = t->area % 64 && t->area <= 64 * LINE_WORDS && planes <= MOST_PLANES;
  uint64_t words[MOST_PLANES * LINE_WORDS * MOST_CHANNELS];
  if (!inLine && t->area % 64)
    for (size_t p = 0; p < planes; p++) memset(codes + p * t->units / 8, 0, channels * t->area / 8);
  for (size_t place = 0; place < t->area; place += 64, x += 64 * block) {
    size_t n = t->area - place < 64 ? t->area - place : 64;
    if (channels == block) look(t, item, x, n * block);
    else // what fills a block up is no value of the network
      for (size_t i = 0; i < n; i++) look(t, item, x + i * block, channels);
    size_t first = 0;
    do { // the activation with the last knots, since y may be x
      size_t some = planes - first < MOST_PLANES ? planes - first : MOST_PLANES;
      uint64_t *to = inLine ? words + place / 64 * block * MOST_PLANES : words;
      if (y && first + some == planes) k->activate(&k->tiling, x, y + place * block, (const float *)t->knots + first, some, n, to);
      else k->sides(&k->tiling, x, NULL, (const float *)t->knots + first, some, n, to);
      for (size_t p = first; !inLine && p < first + some; p++, to += block) {
        uint8_t *plane = codes + p * t->units / 8;
        for (size_t c = 0; c < channels; c++) {
          size_t bit = c * t->area + place;
          if (t->area % 64 == 0) {
            uint64_t w = big_endian(to[c]);
            memcpy(plane + bit / 8, &w, 8);
          } else {
            put(plane, bit, to[c], n);
          }
        }
      }
      first += some;
    } while (first < planes);
  }
  for (size_t p = 0; inLine && p < planes; p++) line(codes + p * t->units / 8, words + p * block, MOST_PLANES * block, t->area, channels);
}

// pack_blocks packs piece i of the items' blocks of channels. A block fills whole bytes.
static void pack_blocks(void *p, size_t i) {
  const task *t = p;
  size_t block = t->k->tiling.block, channels = t->k->channels, size = block * t->area;
  size_t item = i / t->pieces, first = i % t->pieces * t->piece;
  size_t end = first + t->piece < t->stride / size ? first + t->piece : t->stride / size;
  for (size_t b = first; b < end; b++) {
    size_t real = channels <= b * block ? 0 : channels - b * block < block ? channels - b * block : block;
    size_t at = item * t->stride + b * size;
    uint8_t *codes = t->codes && real ? t->codes + item * t->bytes + b * size / 8 : NULL;
    if (t->y || real) pack_block(t, item, (const float *)t->x + at, t->y ? t->y + at : NULL, codes, real);
  }
}

// pack_column packs item i, in whose blocks of one place the channels lie in the usual
// order.
static void pack_column(void *p, size_t i) {
  const task *t = p;
  pack_piece(p, i);
  if (t->y) t->k->activate(&t->k->tiling, (const float *)t->x + i * t->stride, t->y + i * t->stride, NULL, 0, t->stride / t->k->tiling.block, NULL);
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

static float number(op_api api, const void *info, const char *name) {
  float v = 0;
  void *status = OP_CALL(api, KernelInfoGetAttribute_float, (const void *, const char *, float *), info, name, &v);
  if (!status) return v;
  OP_FREE(api, ReleaseStatus, status);
  return 0;
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
  if (block && ((block != 8 && block != 16) || elem[0] != OP_FLOAT || channels < 8 || channels % 8)) {
    status = failed(api, "SignPack: a block is of 8 or 16 floats, its channels a multiple of 8");
    goto done;
  }
  int64_t level = attribute(api, info, "simd", 2), kind = attribute(api, info, "kind", 0), below = attribute(api, info, "below", 0) != 0;
  if (level < 0) level = 0;
  if (level > simd()) level = simd();
  if (block == 8 && level > 1) level = 1;
  if (kind < 0 || kind >= KINDS) kind = ABOVE;
  if (op == &op_actpack.op && (!block || kind <= BELOW || !tilers[level][kind])) {
    status = failed(api, "ActPack: it needs blocks of channels, an activation that it knows, and AVX2");
    goto done;
  }
  kernel *k = malloc(sizeof *k);
  if (!k) {
    status = failed(api, "SignPack: out of memory");
    goto done;
  }
  k->api = api;
  k->elem = elem[0];
  k->below = (int)below;
  k->channels = (size_t)channels;
  k->tiling = (tiling){.block = (size_t)block, .alpha = number(api, info, "alpha"), .beta = number(api, info, "beta")};
  k->sides = tilers[level][below ? BELOW : ABOVE];
  k->activate = tilers[level][kind];
  k->nan = finders[level][k->elem == OP_DOUBLE];
  k->pack = packers[level][k->elem == OP_DOUBLE][below];
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

// spread does n pieces of work on count values, on all threads where it is worth it.
static void *spread(op_api api, void *context, void (*work)(void *, size_t), size_t n, void *task, size_t count) {
  if (count > PIECE)
    return OP_CALL(api, KernelContext_ParallelFor, (void *, void (*)(void *, size_t), size_t, size_t, void *), context, work, n, (size_t)0, task);
  for (size_t i = 0; i < n; i++) work(task, i);
  return NULL;
}

// compute runs the operator whose codes are output first.
static void *compute(const kernel *k, void *context, size_t first) {
  op_api api = k->api;
  void *status = NULL, *value = NULL, *nan = NULL, *activated = NULL, *x = NULL, *knots = NULL, *codes = NULL;
  void (*work)(void *, size_t) = pack_piece;
  int64_t dims[OP_RANK], shape[2], block = (int64_t)k->tiling.block;
  size_t rank = 0, count = 0;
  task t = {.k = k};
  if ((status = input(api, context, 1, dims, &rank, &t.planes, &knots))) goto done;
  if ((status = input(api, context, 0, dims, &rank, &count, &x))) goto done;
  if (rank < 1 || (block && (rank != 4 || dims[1] % block || dims[1] < (int64_t)k->channels))) {
    status = failed(api, "SignPack: the values have no axis of items, or no blocks of channels");
    goto done;
  }
  t.stride = t.units = dims[0] > 0 ? count / (size_t)dims[0] : 0;
  if (block) {
    t.area = (size_t)(dims[2] * dims[3]);
    t.units = k->channels * t.area;
    t.piece = t.area ? PIECE / (t.area * k->tiling.block) : 1;
    t.piece += t.piece == 0;
    t.pieces = ((size_t)(dims[1] / block) + t.piece - 1) / t.piece;
    work = pack_blocks;
    if (t.area == 1) t.piece = t.units, t.pieces = 1, work = pack_column;
  } else {
    // Planes that do not start on a byte share one with the plane before.
    t.piece = t.planes > 1 && t.units % 8 ? t.units : PIECE;
    t.pieces = t.piece ? (t.units + t.piece - 1) / t.piece : 0;
  }
  t.bytes = (t.units * t.planes + 7) / 8;
  shape[0] = dims[0], shape[1] = (int64_t)t.bytes;
  // Of an output that is not asked for there is no value.
  TRY(api, KernelContext_GetOutput, (void *, size_t, const int64_t *, size_t, void **), context, first, shape, (size_t)2, &value);
  TRY(api, KernelContext_GetOutput, (void *, size_t, const int64_t *, size_t, void **), context, first + 1, shape, (size_t)1, &nan);
  if (first) {
    TRY(api, KernelContext_GetOutput, (void *, size_t, const int64_t *, size_t, void **), context, (size_t)0, dims, rank, &activated);
    TRY(api, GetTensorMutableData, (void *, void **), activated, (void **)&t.y);
  }
  if (value && t.planes) TRY(api, GetTensorMutableData, (void *, void **), value, &codes);
  if (nan) TRY(api, GetTensorMutableData, (void *, void **), nan, (void **)&t.nan);
  if (t.nan) memset(t.nan, 0, (size_t)dims[0] * sizeof(float));
  if (count == 0) goto done;
  t.x = x, t.knots = knots, t.codes = codes;
  status = spread(api, context, work, t.pieces * (size_t)dims[0], &t, count);
done:
  return status;
}

static void *compute_sign(void *k, void *context) { return compute(k, context, 0); }
static void *compute_act(void *k, void *context) { return compute(k, context, 1); }

// scaling is a Scale and one run of it, in which a piece is a block of channels of an item.
typedef struct {
  op_api api;
  op_scaler scale;
  size_t block, channels;
} scale_kernel;
typedef struct {
  const scale_kernel *k;
  const float *x, *factors;
  float *y;
  size_t area, blocks; // of an item
  int shared;          // all items have the same factors
} scaling;

static void scale_block(void *p, size_t i) {
  const scaling *t = p;
  size_t block = t->k->block, first = i % t->blocks * block, size = block * t->area;
  float *y = t->y + i * size;
  t->k->scale(block, t->x + i * size, t->factors + (t->shared ? i % t->blocks : i) * block, y, t->area);
  for (size_t c = t->k->channels > first ? t->k->channels - first : 0; c < block; c++)
    for (size_t at = c; at < size; at += block) y[at] = 0;
}

static void *create_scale(const op_custom *op, op_api api, const void *info, void **out) {
  int64_t block = attribute(api, info, "block", 0), channels = attribute(api, info, "channels", 0), level = attribute(api, info, "simd", 2);
  if ((block != 8 && block != 16) || channels < 1) return failed(api, "Scale: a block is of 8 or 16 floats, and there are channels");
  if (level < 0) level = 0;
  if (level > simd()) level = simd();
  scale_kernel *k = malloc(sizeof *k);
  if (!k) return failed(api, "Scale: out of memory");
  *k = (scale_kernel){.api = api, .scale = scalers[block == 8 && level > 1 ? 1 : level], .block = (size_t)block, .channels = (size_t)channels};
  *out = k;
  return NULL;
}

static void *compute_scale(void *p, void *context) {
  const scale_kernel *k = p;
  op_api api = k->api;
  void *status = NULL, *x = NULL, *factors = NULL, *y = NULL;
  int64_t dims[OP_RANK], by[OP_RANK], block = (int64_t)k->block;
  size_t rank = 0, count = 0, ranks = 0, n = 0;
  if ((status = input(api, context, 1, by, &ranks, &n, &factors))) goto done;
  if ((status = input(api, context, 0, dims, &rank, &count, &x))) goto done;
  if (rank != 4 || ranks != 4 || dims[1] % block || dims[1] < (int64_t)k->channels || (by[0] != dims[0] && by[0] != 1) || by[1] != dims[1] || by[2] * by[3] != 1) {
    status = failed(api, "Scale: the values are not in blocks of channels, or have not one factor each");
    goto done;
  }
  TRY(api, KernelContext_GetOutput, (void *, size_t, const int64_t *, size_t, void **), context, (size_t)0, dims, rank, &y);
  if (count == 0) goto done;
  scaling t = {.k = k, .x = x, .factors = factors, .area = (size_t)(dims[2] * dims[3]), .blocks = (size_t)(dims[1] / block), .shared = by[0] == 1};
  TRY(api, GetTensorMutableData, (void *, void **), y, (void **)&t.y);
  status = spread(api, context, scale_block, t.blocks * (size_t)dims[0], &t, count);
done:
  return status;
}

static void destroy(void *k) { free(k); }
static const char *sign_name(const op_custom *op) { return "SignPack"; }
static const char *act_name(const op_custom *op) { return "ActPack"; }
static const char *scale_name(const op_custom *op) { return "Scale"; }
static const char *cpu(const op_custom *op) { return NULL; }
static int any_type(const op_custom *op, size_t i) { return 0; }
static int sign_type(const op_custom *op, size_t i) { return i == 0 ? OP_UINT8 : OP_FLOAT; }
static int scale_type(const op_custom *op, size_t i) { return OP_FLOAT; }
static int act_type(const op_custom *op, size_t i) { return i == 1 ? OP_UINT8 : OP_FLOAT; }
static size_t one(const op_custom *op) { return 1; }
static size_t two(const op_custom *op) { return 2; }
static size_t three(const op_custom *op) { return 3; }
static int required(const op_custom *op, size_t i) { return 0; }
static int optional(const op_custom *op, size_t i) { return 1; }
static int usual(const op_custom *op, size_t i) { return 0; }
static int least(const op_custom *op) { return 1; }
static int first_version(const op_custom *op) { return 1; }
static int last_version(const op_custom *op) { return 0x7fffffff; }

// in_place says that output 0 may lie where input 0 does.
static size_t in_place(int **in, int **out) {
  *in = calloc(1, sizeof(int)), *out = calloc(1, sizeof(int));
  return *in && *out;
}
static void no_places(int *in, int *out) { free(in), free(out); }

// same_shape says that output 0 has the shape of input 0. Of values without a shape, and of
// all that is made of them, ONNX Runtime would plan no memory. A size that has neither a
// number nor a name would become the number -1.
static void *same_shape(const op_custom *op, void *context) {
  op_api api = ((const op_own_operator *)op)->api;
  void *status = NULL, *info = NULL; // belongs to the context
  const char *names[4];
  int64_t dims[4];
  size_t rank = 0;
  TRY(api, ShapeInferContext_GetInputTypeShape, (const void *, size_t, void **), context, (size_t)0, &info);
  TRY(api, GetDimensionsCount, (void *, size_t *), info, &rank);
  if (rank != 4) goto done; // it is not known: blocks have four sizes
  TRY(api, GetDimensions, (void *, int64_t *, size_t), info, dims, rank);
  TRY(api, GetSymbolicDimensions, (void *, const char **, size_t), info, names, rank);
  for (size_t i = 0; i < rank; i++)
    if (dims[i] < 0 && !*names[i]) goto done;
  TRY(api, ShapeInferContext_SetOutputTypeShape, (void *, size_t, const void *), context, (size_t)0, info);
done:
  return status;
}

#define ALIKE                                \
  .version = 29,                             \
  .GetExecutionProviderType = cpu,           \
  .GetInputType = any_type,                  \
  .GetInputTypeCount = two,                  \
  .KernelDestroy = destroy,                  \
  .GetInputCharacteristic = required,        \
  .GetOutputCharacteristic = optional,       \
  .GetInputMemoryType = usual,               \
  .GetVariadicInputMinArity = least,         \
  .GetVariadicInputHomogeneity = least,      \
  .GetVariadicOutputMinArity = least,        \
  .GetVariadicOutputHomogeneity = least,     \
  .GetStartVersion = first_version,          \
  .GetEndVersion = last_version

op_own_operator op_signpack = {.op = {
    ALIKE,
    .GetName = sign_name,
    .GetOutputType = sign_type,
    .GetOutputTypeCount = two,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute_sign,
}};

op_own_operator op_actpack = {.op = {
    ALIKE,
    .GetName = act_name,
    .GetOutputType = act_type,
    .GetOutputTypeCount = three,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute_act,
    .InferOutputShapeFn = same_shape,
    .GetMayInplace = in_place,
    .ReleaseMayInplace = no_places,
}};

op_own_operator op_scale = {.op = {
    ALIKE,
    .GetName = scale_name,
    .GetOutputType = scale_type,
    .GetOutputTypeCount = one,
    .CreateKernelV2 = create_scale,
    .KernelComputeV2 = compute_scale,
    .InferOutputShapeFn = same_shape,
    .GetMayInplace = in_place,
    .ReleaseMayInplace = no_places,
}};
