package install

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Pinned is the ONNX Runtime that Install provides: the newest release that
// both the Python and the Node packages carry.
const Pinned = "1.30.0"

// member is one file taken out of an archive: its exact path inside, its size
// and its SHA-256. The size caps what is read before the hash is known.
type member struct {
	path   string
	size   int64
	sha256 string
}

// artifact is one archive that holds ONNX Runtime, or some of CUDA's libraries,
// for one system. members[0] is the library to load; the others lie beside it.
type artifact struct {
	goos, goarch string
	cuda         bool
	client       string // "pip" or "npm"
	pkg          string // the package's name there
	version      string // of a package of NVIDIA's; ONNX Runtime's is Pinned
	platform     string // pip's platform tag
	file         string // the archive's name
	size         int64  // the archive's, said before it is fetched; 0 is not said
	sha256       string // the archive's
	members      []member
}

// artifacts is every archive Install takes, in order of preference for each
// system. To move to another release: change Pinned, download each archive once,
// and write down the hashes of it and of its members.
var artifacts = []artifact{
	fromPip("linux", "amd64", "manylinux_2_28_x86_64", "fa688e7891a6aa206636fe7372e27ee75fd17713289f6b4fc7b190e0a7de9328",
		member{"onnxruntime/capi/libonnxruntime.so.1.30.0", 28985152, "c902c70b3003c0e99fada202f37478c515ae9bba7944c2b2abd0017bae0c82ed"}),
	fromNpm("linux", "amd64", member{"package/bin/napi-v6/linux/x64/libonnxruntime.so.1", 45828512,
		"ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23"}),
	fromPip("linux", "arm64", "manylinux_2_28_aarch64", "6c32a000d5139a38ba9349030b0032e3331acb559d596b22738d9d2b343a2b83",
		member{"onnxruntime/capi/libonnxruntime.so.1.30.0", 25135496, "8a218e1e446880131115c368ec7005969a5022af9a15a26173de648fef0b7789"}),
	fromNpm("linux", "arm64", member{"package/bin/napi-v6/linux/arm64/libonnxruntime.so.1", 25135496,
		"1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76"}),
	fromPip("darwin", "arm64", "macosx_14_0_arm64", "001ed726c9bd5e2bc92faade7d37d889e9606a350b7d5529f0227df2e3bb57fd",
		member{"onnxruntime/capi/libonnxruntime.1.30.0.dylib", 33209560, "b46713ea6a25a5227541c21001f6422c1ccdeaecc369aa026a61b752520325c3"}),
	fromNpm("darwin", "arm64", member{"package/bin/napi-v6/darwin/arm64/libonnxruntime.1.30.0.dylib", 44589928,
		"685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d"}),
	{
		goos: "linux", goarch: "amd64", cuda: true, client: "pip", pkg: "onnxruntime-gpu", platform: "manylinux_2_28_x86_64",
		file: "onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl",
		size: 246685715, sha256: "6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1",
		members: []member{
			{"onnxruntime/capi/libonnxruntime.so.1.30.0", 29062976, "5a140dc17c8b60b35b2ceab0bb533e65ac54f06a208948417c1f9c31df6afc4c"},
			{"onnxruntime/capi/libonnxruntime_providers_cuda.so", 272049904, "35da2e7ed0dd0d1aec5cdb16ce11a51d06c0c48cf62d1b1c9332946a4fae14fc"},
			{"onnxruntime/capi/libonnxruntime_providers_shared.so", 14632, "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"},
		},
	},
	// The Node package's Windows library wants three more DLLs beside it, so
	// Windows has the wheels alone.
	fromPip("windows", "amd64", "win_amd64", "f3501472571f1b1eee50e017851e7929f5ea37312d2d8c2494a19e8fc58b4a38",
		member{"onnxruntime/capi/onnxruntime.dll", 18446176, "e42c5c917207ff706530315177e39dca2539695a6a8d968a22225e34291b1f12"}),
	fromPip("windows", "arm64", "win_arm64", "dc4c706f1935ebb62356e6a095b047859badd854482c40560888e95c328ed262",
		member{"onnxruntime/capi/onnxruntime.dll", 18351456, "73f0a1ed25a088da5dbc5f76af9c32f8b7dd88033715078b0c04632a9d11f745"}),
}

// fromPip is ONNX Runtime for one system from pip.
func fromPip(goos, goarch, platform, sum string, library member) artifact {
	return artifact{
		goos: goos, goarch: goarch, client: "pip", pkg: "onnxruntime", platform: platform, sha256: sum,
		file: "onnxruntime-" + Pinned + "-cp312-cp312-" + platform + ".whl", members: []member{library},
	}
}

// fromNpm is ONNX Runtime for one system from npm, whose archive has those of all.
func fromNpm(goos, goarch string, library member) artifact {
	return artifact{
		goos: goos, goarch: goarch, client: "npm", pkg: "onnxruntime-node",
		file: "onnxruntime-node-" + Pinned + ".tgz", sha256: npmArchive, members: []member{library},
	}
}

const npmArchive = "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75"

// forSystem lists the artifacts for one system, in order of preference. None
// is an error that says which systems there are.
func forSystem(goos, goarch string, cuda bool) ([]artifact, error) {
	var out []artifact
	var have []string
	for _, a := range artifacts {
		if a.cuda != cuda {
			continue
		}
		if a.goos == goos && a.goarch == goarch {
			out = append(out, a)
		}
		if s := a.goos + "/" + a.goarch; !slices.Contains(have, s) {
			have = append(have, s)
		}
	}
	if len(out) == 0 {
		kind := "ONNX Runtime"
		if cuda {
			kind += " with CUDA"
		}
		err := fmt.Errorf("%s %s is pinned for %v, not for %s/%s; build or download it yourself "+
			"and name it where it is used, or in %s",
			kind, Pinned, have, goos, goarch, EnvLibrary)
		return nil, onnx.Remedy(err, "engine.Options.Library")
	}
	return out, nil
}

// libraryName is the file name Install gives the library on this system.
func libraryName() string {
	switch runtime.GOOS {
	case "windows":
		return "onnxruntime.dll"
	case "darwin":
		return "libonnxruntime." + Pinned + ".dylib"
	}
	return "libonnxruntime.so." + Pinned
}

// release is the version to ask a package client for.
func (a artifact) release() string {
	if a.version != "" {
		return a.version
	}
	return Pinned
}

// name is the package with its version, the folder's name of one of NVIDIA's.
func (a artifact) name() string { return a.pkg + "-" + a.release() }

// unpacked is how many bytes the members take.
func (a artifact) unpacked() int64 {
	var n int64
	for _, m := range a.members {
		n += m.size
	}
	return n
}

// target is where member i of a goes inside dir. ONNX Runtime's own library has
// one name whichever package it comes from.
func (a artifact) target(dir string, i int) string {
	if i == 0 && a.version == "" {
		return filepath.Join(dir, libraryName())
	}
	return filepath.Join(dir, filepath.Base(filepath.FromSlash(a.members[i].path)))
}
