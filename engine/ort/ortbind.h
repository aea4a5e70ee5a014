// Runs over memory that is bound once: pinned memory of the host, from and to which a
// GPU copies fastest, or memory of the GPU itself.
#ifndef ONNXPROBE_ORTBIND_H
#define ONNXPROBE_ORTBIND_H

#include "ortapi.h"
#include <stdbool.h>

// op_bound is one input or output in bound memory.
typedef struct {
  void *value, *data;
} op_bound;

// op_mover makes a GPU the one of the calling thread, and copies between the host and
// bound memory. Where that is the host's own, copy and sync are null; set is null where
// there is no GPU.
typedef struct {
  int (*set)(int device);
  int (*copy)(void *to, const void *from, size_t bytes, int kind);
  int (*sync)(void);
  int device;
} op_mover;

// op_cuda_mover takes the functions of the CUDA runtime that ONNX Runtime has loaded.
static char *op_cuda_mover(op_mover *m, int device, bool device_memory) {
#ifndef _WIN32
  const char *names[] = {"libcudart.so.13", "libcudart.so.12"};
  for (size_t i = 0; i < 2; i++) {
    void *h = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
    if (!h) continue;
    m->set = (int (*)(int))dlsym(h, "cudaSetDevice");
    m->device = device;
    if (!device_memory) return NULL;
    m->copy = (int (*)(void *, const void *, size_t, int))dlsym(h, "cudaMemcpy");
    m->sync = (int (*)(void))dlsym(h, "cudaDeviceSynchronize");
    if (m->set && m->copy && m->sync) return NULL;
  }
#endif
  return device_memory ? op_copy("the CUDA runtime, libcudart, is not loaded") : NULL;
}

static char *op_move(const op_mover *m, void *to, const void *from, size_t bytes, int kind) {
  if (!m->copy) memcpy(to, from, bytes);
  else if (m->copy(to, from, bytes, kind)) return op_copy("the CUDA runtime could not copy");
  return NULL;
}

// op_select makes the GPU the calling thread's, which is any of Go's: a thread begins
// with GPU 0, and would make a context there.
static char *op_select(const op_mover *m) {
  return m->set && m->set(m->device) ? op_copy("the GPU cannot be selected") : NULL;
}

// op_sync waits for the GPU: its copies and ONNX Runtime's kernels are on streams that
// do not wait for each other.
static char *op_sync(const op_mover *m) {
  return m->sync && m->sync() ? op_copy("the GPU reports an error") : NULL;
}

static char *op_memory(op_api api, const char *name, int device, void **info) {
  char *err = NULL;
  OP_TRY(api, CreateMemoryInfo, (const char *, int, int, int, void **), name, 0 /* device allocator */, device, 0 /* default */, info);
done:
  return err;
}

static char *op_allocator(op_api api, void *session, void *info, void **allocator) {
  char *err = NULL;
  OP_TRY(api, CreateAllocator, (void *, void *, void **), session, info, allocator);
done:
  return err;
}

// op_bind makes a binding of memory for t[0:nin] and t[nin:nin+nout], and binds it.
static char *op_bind(op_api api, void *session, const op_mover *m, void *allocator, const char **names, const op_tensor *t, size_t nin, size_t nout,
                     void **io, op_bound *b) {
  char *err = op_select(m);
  if (err) return err;
  OP_TRY(api, CreateIoBinding, (void *, void **), session, io);
  for (size_t i = 0; i < nin + nout; i++) {
    OP_TRY(api, CreateTensorAsOrtValue, (void *, const int64_t *, size_t, int32_t, void **), allocator, t[i].dims, (size_t)t[i].rank, t[i].elem, &b[i].value);
    OP_TRY(api, GetTensorMutableData, (void *, void **), b[i].value, &b[i].data);
    if (i < nin) OP_TRY(api, BindInput, (void *, const char *, void *), *io, names[i], b[i].value);
    else OP_TRY(api, BindOutput, (void *, const char *, void *), *io, names[i], b[i].value);
  }
done:
  return err;
}

static void op_unbind(op_api api, void *io, op_bound *b, size_t n, void *allocator, void *info) {
  if (io) OP_FREE(api, ReleaseIoBinding, io);
  for (size_t i = 0; i < n; i++)
    if (b[i].value) OP_FREE(api, ReleaseValue, b[i].value);
  if (allocator) OP_FREE(api, ReleaseAllocator, allocator);
  if (info) OP_FREE(api, ReleaseMemoryInfo, info);
}

// op_run_bound evaluates the session on t[0:nin] into t[nin:nin+nout], by way of b.
//
// With pinned memory nothing here waits for the whole GPU, on which another session's
// run may be under way: BindInput copies an input to the GPU, on which account inputs
// are bound anew, and returns when it is there; the run copies the outputs back on its
// own stream, and returns when it has. With memory of the GPU the copies are ours.
static char *op_run_bound(op_api api, void *session, void *options, void *io, const char **names, op_bound *b, const op_mover *m,
                          const op_tensor *t, size_t nin, size_t nout) {
  char *err = op_select(m);
  if (!err) err = op_sync(m);
  for (size_t i = 0; i < nin; i++) {
    if (!err) err = op_move(m, b[i].data, (void *)t[i].data, t[i].bytes, 1 /* to the device */);
    if (err) return err;
    if (!m->copy) OP_TRY(api, BindInput, (void *, const char *, void *), io, names[i], b[i].value);
  }
  if (!err) err = op_sync(m);
  if (err) return err;
  OP_TRY(api, RunWithBinding, (void *, const void *, const void *), session, options, io);
  err = op_sync(m);
  for (size_t i = nin; !err && i < nin + nout; i++)
    err = op_move(m, (void *)t[i].data, b[i].data, t[i].bytes, 2 /* to the host */);
done:
  return err;
}

// op_assigned lists the nodes that a provider runs, "name (operator)", a line each,
// which the caller frees. The session must have recorded them.
static char *op_assigned(op_api api, void *session, const char *provider, char **list) {
  char *err = NULL;
  void *const *parts = NULL, *const *nodes = NULL;
  size_t n = 0, k = 0, size = 1;
  OP_TRY(api, Session_GetEpGraphAssignmentInfo, (void *, void *const **, size_t *), session, &parts, &n);
  for (int pass = 0; pass < 2; pass++) {
    if (pass && !(*list = calloc(1, size))) return op_copy("out of memory");
    for (size_t i = 0; i < n; i++) {
      const char *ep = NULL, *name = NULL, *op = NULL;
      OP_TRY(api, EpAssignedSubgraph_GetEpName, (void *, const char **), parts[i], &ep);
      if (strcmp(ep, provider)) continue;
      OP_TRY(api, EpAssignedSubgraph_GetNodes, (void *, void *const **, size_t *), parts[i], &nodes, &k);
      for (size_t j = 0; j < k; j++) {
        OP_TRY(api, EpAssignedNode_GetName, (void *, const char **), nodes[j], &name);
        OP_TRY(api, EpAssignedNode_GetOperatorType, (void *, const char **), nodes[j], &op);
        if (!pass) { size += strlen(name) + strlen(op) + 4; continue; }
        strcat(strcat(strcat(strcat(*list, name), " ("), op), ")\n");
      }
    }
  }
done:
  return err;
}

#endif
