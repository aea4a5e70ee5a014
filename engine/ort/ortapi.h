// What the Go binding does not offer, on ONNX Runtime's C interface: a library's
// release before it is used, a session's inputs and outputs, and Run over memory
// that Go owns. Names start with op_ because every cgo package of a program
// shares one name space.
#ifndef ONNXPROBE_ORTAPI_H
#define ONNXPROBE_ORTAPI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#include <signal.h>
#endif

// OrtApi is a table of functions that only ever grows: a slot never moves.
// TestSlots compares these numbers with the header of the binding.
typedef void *const *op_api;

enum op_slot {
  op_CreateStatus = 0,
  op_GetErrorMessage = 2,
  op_Run = 9,
  op_CreateCustomOpDomain = 26,
  op_CustomOpDomain_Add = 27,
  op_AddCustomOpDomain = 28,
  op_SessionGetInputCount = 30,
  op_SessionGetOutputCount = 31,
  op_SessionGetInputTypeInfo = 33,
  op_SessionGetOutputTypeInfo = 34,
  op_SessionGetInputName = 36,
  op_SessionGetOutputName = 37,
  op_CreateTensorAsOrtValue = 48,
  op_CreateTensorWithDataAsOrtValue = 49,
  op_IsTensor = 50,
  op_GetTensorMutableData = 51,
  op_CastTypeInfoToTensorInfo = 55,
  op_GetTensorElementType = 60,
  op_GetDimensionsCount = 61,
  op_GetDimensions = 62,
  op_GetSymbolicDimensions = 63,
  op_GetTensorShapeElementCount = 64,
  op_GetTensorTypeAndShape = 65,
  op_CreateMemoryInfo = 68,
  op_CreateCpuMemoryInfo = 69,
  op_AllocatorFree = 76,
  op_GetAllocatorWithDefaultOptions = 78,
  op_KernelInfoGetAttribute_float = 85,
  op_KernelInfoGetAttribute_int64 = 86,
  op_KernelContext_GetInput = 90,
  op_KernelContext_GetOutput = 91,
  op_ReleaseStatus = 93,
  op_ReleaseMemoryInfo = 94,
  op_ReleaseValue = 96,
  op_ReleaseTypeInfo = 98,
  op_ReleaseTensorTypeAndShapeInfo = 99,
  op_GetAvailableProviders = 125,
  op_ReleaseAvailableProviders = 126,
  op_CreateAllocator = 131,
  op_ReleaseAllocator = 132,
  op_RunWithBinding = 133,
  op_CreateIoBinding = 134,
  op_ReleaseIoBinding = 135,
  op_BindInput = 136,
  op_BindOutput = 137,
  op_KernelInfo_GetInputTypeInfo = 234,
  op_ShapeInferContext_GetInputTypeShape = 268,
  op_ShapeInferContext_SetOutputTypeShape = 270,
  op_KernelContext_ParallelFor = 274,
  op_AddExternalInitializersFromFilesInMemory = 279,
  op_SessionOptionsSetLoadCancellationFlag = 293,
  op_TensorTypeAndShape_HasShape = 390,
  op_Session_GetEpGraphAssignmentInfo = 407,
  op_EpAssignedSubgraph_GetEpName = 408,
  op_EpAssignedSubgraph_GetNodes = 409,
  op_EpAssignedNode_GetName = 410,
  op_EpAssignedNode_GetOperatorType = 412,
};

// Every ORT function below returns a status, null for success.
#define OP_CALL(api, name, types, ...) (((void *(*)types)(api)[op_##name])(__VA_ARGS__))
#define OP_FREE(api, name, p) (((void (*)(void *))(api)[op_##name])(p))

typedef struct {
  op_api (*GetApi)(uint32_t);
  const char *(*GetVersionString)(void);
} op_base;

static char *op_copy(const char *s) {
  char *c = malloc(strlen(s) + 1);
  return c ? strcpy(c, s) : NULL;
}

// op_open loads a library; *err, which the caller frees, says why not.
static void *op_open(const char *path, char **err) {
#ifdef _WIN32
  wchar_t wide[4096];
  void *h = NULL;
  if (MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 4096)) h = (void *)LoadLibraryW(wide);
  if (!h) *err = op_copy("LoadLibrary failed; a DLL it needs may be missing");
#else
  void *h = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (!h) *err = op_copy(dlerror());
#endif
  return h;
}

static void op_close(void *h) {
#ifdef _WIN32
  FreeLibrary((HMODULE)h);
#else
  dlclose(h);
#endif
}

// op_base_of is null when the library is not ONNX Runtime.
static const op_base *op_base_of(void *h) {
#ifdef _WIN32
  void *f = (void *)GetProcAddress((HMODULE)h, "OrtGetApiBase");
#else
  void *f = dlsym(h, "OrtGetApiBase");
#endif
  return f ? ((const op_base *(*)(void))f)() : NULL;
}

static const char *op_version(const op_base *b) { return b->GetVersionString(); }
static op_api op_get(const op_base *b, uint32_t version) { return b->GetApi(version); }

// op_message turns a status into its text, which the caller frees.
static char *op_message(op_api api, void *status) {
  char *s = op_copy(((const char *(*)(void *))api[op_GetErrorMessage])(status));
  OP_FREE(api, ReleaseStatus, status);
  return s ? s : op_copy("out of memory");
}

// OP_TRY leaves the function with a status's text.
#define OP_TRY(api, name, types, ...)                          \
  do {                                                         \
    void *op_status = OP_CALL(api, name, types, __VA_ARGS__);  \
    if (op_status) { err = op_message(api, op_status); goto done; } \
  } while (0)

// op_custom is OrtCustomOp: what ONNX Runtime asks an operator that it does not
// bring. TestCustomOp compares the fields with the header of the binding.
typedef struct op_custom op_custom;
struct op_custom {
  uint32_t version;
  void *(*CreateKernel)(const op_custom *, op_api, const void *info);
  const char *(*GetName)(const op_custom *);
  const char *(*GetExecutionProviderType)(const op_custom *);
  int (*GetInputType)(const op_custom *, size_t);
  size_t (*GetInputTypeCount)(const op_custom *);
  int (*GetOutputType)(const op_custom *, size_t);
  size_t (*GetOutputTypeCount)(const op_custom *);
  void (*KernelCompute)(void *kernel, void *context);
  void (*KernelDestroy)(void *kernel);
  int (*GetInputCharacteristic)(const op_custom *, size_t);
  int (*GetOutputCharacteristic)(const op_custom *, size_t);
  int (*GetInputMemoryType)(const op_custom *, size_t);
  int (*GetVariadicInputMinArity)(const op_custom *);
  int (*GetVariadicInputHomogeneity)(const op_custom *);
  int (*GetVariadicOutputMinArity)(const op_custom *);
  int (*GetVariadicOutputHomogeneity)(const op_custom *);
  void *(*CreateKernelV2)(const op_custom *, op_api, const void *info, void **kernel);
  void *(*KernelComputeV2)(void *kernel, void *context);
  void *(*InferOutputShapeFn)(const op_custom *, void *context);
  int (*GetStartVersion)(const op_custom *);
  int (*GetEndVersion)(const op_custom *);
  size_t (*GetMayInplace)(int **, int **);
  void (*ReleaseMayInplace)(int *, int *);
  size_t (*GetAliasMap)(int **, int **);
  void (*ReleaseAliasMap)(int *, int *);
};

// The operators of the domain onnxprobe, in pack.c.
typedef struct {
  op_custom op;
  op_api api; // for what ONNX Runtime asks without handing it over
} op_own_operator;
extern op_own_operator op_signpack, op_actpack, op_scale;

// op_own makes the domain of our operators, which lives as long as the process.
static char *op_own(op_api api, void **domain) {
  char *err = NULL;
  OP_TRY(api, CreateCustomOpDomain, (const char *, void **), "onnxprobe", domain);
  op_own_operator *own[] = {&op_signpack, &op_actpack, &op_scale};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    own[i]->api = api;
    OP_TRY(api, CustomOpDomain_Add, (void *, const op_custom *), *domain, &own[i]->op);
  }
done:
  return err;
}

// op_add_own makes the domain known to a session's options.
static char *op_add_own(op_api api, void *options, void *domain) {
  char *err = NULL;
  OP_TRY(api, AddCustomOpDomain, (void *, void *), options, domain);
done:
  return err;
}

// op_add_file gives a session the bytes of a file that its model's weights lie in. They
// must stay until the session is made.
static char *op_add_file(op_api api, void *options, const char *name, const void *bytes, size_t size) {
  char *err = NULL;
  char *buffer = (char *)bytes;
#ifdef _WIN32
  wchar_t wide[64];
  const wchar_t *path = wide;
  if (!MultiByteToWideChar(CP_UTF8, 0, name, -1, wide, 64)) return op_copy("the name of a file is too long");
#else
  const char *path = name;
#endif
  OP_TRY(api, AddExternalInitializersFromFilesInMemory, (void *, const void *, char *const *, const size_t *, size_t),
         options, &path, &buffer, &size, 1);
done:
  return err;
}

// op_end_load makes a session that is being made with these options, on another thread,
// fail soon. A message about it would have no reader.
static void op_end_load(op_api api, void *options) {
  void *status = OP_CALL(api, SessionOptionsSetLoadCancellationFlag, (void *, bool), options, true);
  if (status) OP_FREE(api, ReleaseStatus, status);
}

static char *op_cpu_memory(op_api api, void **info) {
  char *err = NULL;
  OP_TRY(api, CreateCpuMemoryInfo, (int, int, void **), 1 /* arena */, 0 /* default */, info);
done:
  return err;
}

#define OP_RANK 32

// op_tensor is a tensor on its way in or out. data is the address of the caller's
// memory, a number: Go's write barrier would take a pointer left here by an
// earlier run for one of its own. In an output 0 asks ONNX Runtime for memory,
// made, which lives until op_release.
typedef struct {
  uintptr_t data;
  void *made;
  size_t bytes;
  int32_t elem;  // ONNXTensorElementDataType, numbered as TensorProto.DataType up to bfloat16
  int32_t rank;  // -1: unknown
  int64_t dims[OP_RANK];
  void *value;
} op_tensor;

// op_info fills elem, rank and dims from a tensor's type and shape.
static char *op_info(op_api api, void *info, op_tensor *t) {
  char *err = NULL;
  size_t rank = 0;
  OP_TRY(api, GetTensorElementType, (void *, int32_t *), info, &t->elem);
  if (!((_Bool (*)(void *))api[op_TensorTypeAndShape_HasShape])(info)) {
    t->rank = -1;
    return NULL;
  }
  OP_TRY(api, GetDimensionsCount, (void *, size_t *), info, &rank);
  if (rank > OP_RANK) return op_copy("a tensor has more than 32 dimensions");
  t->rank = (int32_t)rank;
  OP_TRY(api, GetDimensions, (void *, int64_t *, size_t), info, t->dims, rank);
done:
  return err;
}

static char *op_count(op_api api, void *session, int output, size_t *n) {
  char *err = NULL;
  if (output) OP_TRY(api, SessionGetOutputCount, (void *, size_t *), session, n);
  else OP_TRY(api, SessionGetInputCount, (void *, size_t *), session, n);
done:
  return err;
}

// op_port describes input or output i; elem is 0 when it is not a tensor. The
// caller frees *name.
static char *op_port(op_api api, void *session, int output, size_t i, char **name, op_tensor *t) {
  char *err = NULL, *theirs = NULL;
  void *alloc = NULL, *type = NULL, *info = NULL;
  OP_TRY(api, GetAllocatorWithDefaultOptions, (void **), &alloc);
  if (output) {
    OP_TRY(api, SessionGetOutputName, (void *, size_t, void *, char **), session, i, alloc, &theirs);
    OP_TRY(api, SessionGetOutputTypeInfo, (void *, size_t, void **), session, i, &type);
  } else {
    OP_TRY(api, SessionGetInputName, (void *, size_t, void *, char **), session, i, alloc, &theirs);
    OP_TRY(api, SessionGetInputTypeInfo, (void *, size_t, void **), session, i, &type);
  }
  *name = op_copy(theirs);
  OP_TRY(api, CastTypeInfoToTensorInfo, (void *, void **), type, &info);
  if (info) err = op_info(api, info, t); // info belongs to type
done:
  if (theirs) {
    void *s = OP_CALL(api, AllocatorFree, (void *, void *), alloc, theirs);
    if (s) OP_FREE(api, ReleaseStatus, s);
  }
  if (type) OP_FREE(api, ReleaseTypeInfo, type);
  return err;
}

// op_release gives back the values of n tensors.
static void op_release(op_api api, op_tensor *t, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (t[i].value) OP_FREE(api, ReleaseValue, t[i].value);
    t[i].value = NULL;
  }
}

// op_run evaluates the session on t[0:nin] into t[nin:nin+nout]. names and values
// have room for all of them. Whatever it returns, the caller calls op_release.
static char *op_run(op_api api, void *session, void *options, void *memory, const char **names,
                    void **values, op_tensor *t, size_t nin, size_t nout) {
  char *err = NULL;
  void *info = NULL;
  for (size_t i = 0; i < nin + nout; i++) {
    values[i] = NULL;
    t[i].value = NULL;
    if (!t[i].data) continue;
    OP_TRY(api, CreateTensorWithDataAsOrtValue, (void *, void *, size_t, const int64_t *, size_t, int32_t, void **),
           memory, (void *)t[i].data, t[i].bytes, t[i].dims, (size_t)t[i].rank, t[i].elem, &t[i].value);
    values[i] = t[i].value;
  }
  OP_TRY(api, Run, (void *, void *, const char **, void **, size_t, const char **, size_t, void **),
         session, options, names, values, nin, names + nin, nout, values + nin);
  for (size_t i = nin; i < nin + nout; i++) {
    int32_t is = 0;
    if (t[i].data) continue;
    t[i].value = values[i];
    if (!values[i]) { err = op_copy("the run left an output empty"); goto done; }
    OP_TRY(api, IsTensor, (void *, int32_t *), values[i], &is);
    if (!is) { err = op_copy("an output is not a tensor"); goto done; }
    OP_TRY(api, GetTensorTypeAndShape, (void *, void **), values[i], &info);
    err = op_info(api, info, &t[i]);
    if (err) goto done;
    OP_FREE(api, ReleaseTensorTypeAndShapeInfo, info);
    info = NULL;
    OP_TRY(api, GetTensorMutableData, (void *, void **), values[i], &t[i].made);
  }
done:
  if (info) OP_FREE(api, ReleaseTensorTypeAndShapeInfo, info);
  for (size_t i = nin; i < nin + nout; i++) // outputs made before a later one failed
    if (!t[i].value && values[i]) t[i].value = values[i];
  return err;
}

// op_trim gives memory that the allocator keeps for later back to the system.
static void op_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// op_providers lists the execution providers built into the library, joined by
// commas, which the caller frees.
static char *op_providers(op_api api, char **list) {
  char *err = NULL, **names = NULL;
  int n = 0;
  size_t size = 1;
  OP_TRY(api, GetAvailableProviders, (char ***, int *), &names, &n);
  for (int i = 0; i < n; i++) size += strlen(names[i]) + 1;
  *list = calloc(1, size);
  for (int i = 0; *list && i < n; i++) {
    if (i) strcat(*list, ",");
    strcat(*list, names[i]);
  }
done:
  if (names) {
    void *s = OP_CALL(api, ReleaseAvailableProviders, (char **, int), names, n);
    if (s) OP_FREE(api, ReleaseStatus, s);
  }
  return err;
}

// The CUDA provider replaces the program's signal handlers, Go's among them,
// with ones that do not run on the signal stack. These put them back.
#ifdef _WIN32
typedef struct { int none; } op_signals;
static void op_save_signals(op_signals *s) { (void)s; }
static void op_restore_signals(op_signals *s) { (void)s; }
#else
typedef struct { struct sigaction old[32]; } op_signals;
static void op_save_signals(op_signals *s) {
  for (int i = 1; i < 32; i++) sigaction(i, NULL, &s->old[i]);
}
static void op_restore_signals(op_signals *s) {
  for (int i = 1; i < 32; i++) sigaction(i, &s->old[i], NULL);
}
#endif

#endif
